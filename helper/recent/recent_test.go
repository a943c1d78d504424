package recent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper/journal"
	"immutray.org/helper/statedir"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// A diary keeps records in a state directory that everyone can reach.
type diary struct {
	t   *testing.T
	dir string
	n   int
}

func newDiary(t *testing.T) *diary {
	return &diary{t: t, dir: filepath.Join(lab.Dir(t), "state")}
}

func (d *diary) folder() statedir.History { return statedir.Dir(d.dir).History() }

// keep keeps a record; change is "FIELD=value …".
func (d *diary) keep(id, verb, state string, change ...string) {
	d.t.Helper()
	fields := map[string]string{journal.Verb: verb, journal.State: state, journal.OutcomeWord: "done"}
	for _, c := range change {
		name, value, _ := strings.Cut(c, "=")
		fields[name] = value
	}
	if fields[journal.Request] == "" {
		d.n++
		fields[journal.Request] = fmt.Sprint("request ", d.n)
	}
	if err := Keep(d.dir, journal.Entry{MessageID: id, Fields: fields}); err != nil {
		d.t.Fatal(err)
	}
}

// unlock opens a window at some minute, lock ends it.
func (d *diary) unlock(minute int, uid, reason string) {
	d.t.Helper()
	d.keep(journal.Intent, "unlock", "", journal.UID+"="+uid, journal.Request+"="+fmt.Sprint("unlock ", minute))
	d.keep(journal.Outcome, "unlock", "unlocked", journal.UID+"="+uid, journal.Request+"="+fmt.Sprint("unlock ", minute),
		journal.Reason+"="+reason, since(minute), journal.WindowUID+"="+uid, journal.WindowReason+"="+reason)
}

func (d *diary) lock(minute int, reason string) {
	d.t.Helper()
	d.keep(journal.Intent, "lock", "", journal.UID+"=7")
	d.keep(journal.Outcome, "lock", "locked", journal.UID+"=7", since(minute), journal.WindowReason+"="+reason)
}

func since(minute int) string {
	return fmt.Sprintf("%s=2026-11-23T12:%02d:00Z", journal.WindowSince, minute)
}

// readAs returns what a user reads: on a thread of its own, which ends with its rights.
func (d *diary) readAs(uid int) string {
	d.t.Helper()
	result := make(chan string)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			result <- errno.Error()
			return
		}
		data, err := Read(d.dir)
		if err != nil {
			result <- err.Error()
			return
		}
		result <- string(data)
	}()
	return <-result
}

// Everyone sees the windows, a user the reasons that he gave himself, root all of them.
func TestReasonsAreForTheirAuthors(t *testing.T) {
	d := newDiary(t)
	d.unlock(1, "1000", "of-alice")
	d.lock(1, "of-alice")
	d.unlock(2, "1001", "of-bob")
	// Alice has the window last longer and gives no reason, then another.
	d.keep(journal.Outcome, "unlock", "unlocked", journal.UID+"=1000", since(2), journal.WindowReason+"=of-bob", journal.WindowUID+"=1001")
	d.keep(journal.Outcome, "unlock", "unlocked", journal.UID+"=1000", since(2), journal.Reason+"=alices-second", journal.WindowReason+"=alices-second", journal.WindowUID+"=1001")
	d.lock(2, "alices-second")
	d.keep(journal.Intent, "run", "", journal.UID+"=0", journal.Reason+"=of-root", journal.Command+"=mysql --password=secret")

	words := []string{"of-alice", "of-bob", "alices-second", "of-root", "secret", reasonBy}
	for uid, want := range map[int]string{
		0:     "of-alice of-bob alices-second of-root secret " + reasonBy,
		1000:  "of-alice alices-second",
		1001:  "of-bob",
		65534: "",
	} {
		got := d.readAs(uid)
		var found []string
		for _, word := range words {
			if strings.Contains(got, word) {
				found = append(found, word)
			}
		}
		if strings.Join(found, " ") != want || !strings.Contains(got, "12:01:00Z") || !strings.Contains(got, "mysql") {
			t.Errorf("user %d reads %q, want %q in\n%s", uid, found, want, got)
		}
	}
	// Nothing is a user's: an owner could change the mode, and then write.
	files, err := os.ReadDir(d.folder().Path)
	if err != nil || len(files) != 5 {
		t.Errorf("the files are %v, %v", files, err)
	}
	for _, f := range files {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(d.folder().Path, f.Name()), &st); err != nil || st.Uid != 0 || st.Gid != 0 || st.Mode&0o022 != 0 {
			t.Errorf("%s: %+v, %v", f.Name(), st, err)
		}
	}
}

// Ten windows are kept, whatever else was asked for; and with them who still may read what.
func TestTheLastWindowsAreKept(t *testing.T) {
	d := newDiary(t)
	for minute := range 15 {
		d.unlock(minute, fmt.Sprint(1000+minute), "why")
		for range 5 { // blocked, and extended
			d.keep(journal.Outcome, "lock", "unlocked", since(minute))
		}
		d.lock(minute, "why")
		for range 20 {
			d.keep(journal.Intent, "lock", "")
			d.keep(journal.Outcome, "lock", "locked")
		}
	}
	all, err := records(d.folder().All())
	if err != nil || len(all) != 2*maxWindows || all[0][journal.WindowSince] != "2026-11-23T12:05:00Z" {
		t.Errorf("%d records, %v; the first is %v", len(all), err, all[0])
	}
	if _, err := os.Stat(d.folder().Of(1004)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a user whose reasons are gone: %v", err)
	}
	if _, err := os.Stat(d.folder().Of(1005)); err != nil {
		t.Error(err)
	}
}

// An unlock whose helper was killed is seen by its intent, one that failed is not.
func TestIntentWithoutAnOutcome(t *testing.T) {
	d := newDiary(t)
	count := func() int {
		all, _ := records(d.folder().All())
		return len(all)
	}
	d.keep(journal.Intent, "unlock", "", journal.Request+"=a")
	if count() != 1 {
		t.Errorf("%d records after the intent", count())
	}
	d.keep(journal.Outcome, "unlock", "partly-locked", journal.Request+"=a")
	if count() != 0 {
		t.Errorf("%d records after it has failed", count())
	}
	d.keep(journal.Intent, "run", "", journal.Request+"=b")
	d.keep(journal.Outcome, "run", "locked", journal.Request+"=b", journal.OutcomeWord+"=failed")
	if count() != 0 {
		t.Errorf("%d records of a command that could not begin", count())
	}
	d.keep(journal.Intent, "run", "", journal.Request+"=c")
	d.keep(journal.Outcome, "lock-force", "locked")
	d.keep(journal.Outcome, "run", "locked", journal.Request+"=c")
	if count() != 2 {
		t.Errorf("%d records of a command that a lock by force has ended", count())
	}
}

// Without room the old files stay whole.
func TestKeepWithoutRoom(t *testing.T) {
	d := newDiary(t)
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", d.dir, "tmpfs", 0, "size=256k,nr_inodes=16,mode=0755"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(d.dir, unix.MNT_DETACH)
	d.unlock(1, "1000", "why")
	before := d.readAs(1000)
	if err := os.WriteFile(filepath.Join(d.dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	err := Keep(d.dir, journal.Entry{MessageID: journal.Outcome, Fields: map[string]string{journal.Verb: "lock", journal.State: "locked"}})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Keep() = %v", err)
	}
	if after := d.readAs(1000); after != before || !strings.Contains(after, "why") {
		t.Errorf("it was %s and is %s", before, after)
	}
}

func TestWhatIsDamagedBeginsAgain(t *testing.T) {
	d := newDiary(t)
	d.unlock(1, "1000", "why")
	for _, damage := range []string{"{", "[]\n", strings.Repeat("x", maxSize+1)} {
		if err := os.WriteFile(d.folder().All(), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		d.unlock(2, "1000", strings.Repeat("\u20ac", maxValue))
		if all, err := records(d.folder().All()); err != nil || len(all) != 1 || len(all[0][journal.Reason]) > maxValue {
			t.Errorf("%d records, %v", len(all), err)
		}
	}
}

// A directory that can't be used, and a process that is stopped, cost the history only.
func TestKeepFails(t *testing.T) {
	d := newDiary(t)
	d.unlock(1, "1000", "why")
	held, err := os.OpenFile(d.folder().Lock(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	entry := journal.Entry{MessageID: journal.Intent, Fields: map[string]string{journal.Verb: "unlock"}}
	if err := Keep(d.dir, entry); err == nil || !strings.HasPrefix(err.Error(), "cannot keep the history: ") {
		t.Errorf("Keep() while another does = %v", err)
	}
	if err := Keep("/proc/none", entry); err == nil {
		t.Error("Keep() where no file can be = nil")
	}
	if err := Keep("/proc/none", journal.Entry{MessageID: "other"}); err != nil {
		t.Errorf("Keep() of another record = %v", err)
	}
}
