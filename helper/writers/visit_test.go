package writers

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Only a thread that sleeps in a system call waits for the process that it looks into. One
// that is to go on when others have, or when the disk has, does not; on a busy machine that
// takes seconds.
func TestOnlyAnAnswerThatIsOwedHangs(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	for name, test := range map[string]struct {
		wait func()
		want bool
	}{
		"for Go's scheduler":        {func() { <-released }, false},
		"for an answer of a kernel": {func() { _, _ = unix.Read(pipe[0], make([]byte, 1)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tid := make(chan int)
			go func() {
				runtime.LockOSThread()
				tid <- unix.Gettid()
				test.wait()
			}()
			v := &visit{tid: <-tid, since: time.Now()}
			hanging := false
			for end := time.Now().Add(hangs + hangs/2); !hanging && time.Now().Before(end); time.Sleep(watchEvery) {
				v.watch(time.Now())
				hanging = v.isHanging(time.Now())
			}
			if hanging != test.want {
				t.Errorf("it hangs: %v, want %v", hanging, test.want)
			}
		})
	}
	t.Cleanup(func() {
		close(released)
		unix.Close(pipe[1])
		unix.Close(pipe[0])
	})
}
