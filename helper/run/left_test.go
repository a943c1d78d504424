package run

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// What a command has left behind does not write again during the next one: through another
// mount in its namespace, from a namespace below that, or from one that is only kept by a
// mount. Either the next command does not begin, or what was left can't write.
func TestWhatIsLeftBehindDoesNotWriteDuringTheNextCommand(t *testing.T) {
	for name, leave := range map[string]string{
		"another mount":       `mkdir -p $BASE/elsewhere; mount --bind $ROOT $BASE/elsewhere; WHERE=$BASE/elsewhere`,
		"a further namespace": `WHERE=$ROOT; FURTHER="unshare --mount --propagation=unchanged"`,
		"a part of it":        `mkdir -p $ROOT/part $BASE/elsewhere; mount --bind $ROOT/part $BASE/elsewhere; WHERE=$BASE/elsewhere`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			base := filepath.Join(f.Root, "home", "rrs")
			wrote, refused := filepath.Join(base, "wrote"), filepath.Join(base, "refused")
			// What is left tries again and again, and says how that went.
			code, end := f.run(f.shell(`BASE=` + base + `; ` + leave + `; export WHERE
				$FURTHER sh -c 'trap "" TERM; echo $$ >'` + base + `'/pid; while sleep 0.02; do touch $WHERE/again && echo >'` + wrote + `' || echo >'` + refused + `'; done' </dev/null >/dev/null 2>&1 &
				while ! [ -s ` + wrote + ` ]; do sleep 0.02; done`))
			if code != 0 {
				t.Fatalf("exit code %d, %+v", code, end)
			}
			defer func() {
				data, _ := os.ReadFile(filepath.Join(base, "pid"))
				if pid, err := strconv.Atoi(string(data[:max(0, len(data)-1)])); err == nil {
					unix.Kill(pid, unix.SIGKILL)
				}
			}()
			f.expect("left behind", helper.Locked)
			os.Remove(refused)
			f.await("it is refused, and what it began before has ended", 30*time.Second, func() bool {
				_, err := os.Stat(refused)
				return err == nil
			})
			os.Remove(wrote)
			code, end = f.run(f.shell(`sleep 1`))
			t.Logf("the next command: exit code %d, %s", code, end.Err)
			if _, err := os.Stat(wrote); err == nil {
				t.Error("what was left behind could write again")
			}
			f.expect("in the end", helper.Locked)
		})
	}
}
