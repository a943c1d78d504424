package lockstate

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) {
	if os.Getenv(readerVariable) != "" {
		readAs(os.Args[1])
		return
	}
	lab.Main(m)
}

// timeout ends a wait that hangs; no test depends on how long a wait takes.
const timeout = 30 * time.Second

func TestReadTellsEveryStateFromTheKernel(t *testing.T) {
	s := lab.New(t)
	r := &Reader{Paths: s.Protected(), StateDir: s.State}
	for _, c := range []struct {
		name  string
		steps [][]string
		want  helper.PathStatus
	}{
		{"unlocked", nil, helper.PathStatus{Property: "rw", Mount: "rw", Superblock: "rw", State: helper.Unlocked}},
		{"open_mount", [][]string{{"btrfs", "property", "set", s.Etc, "ro", "true"}},
			helper.PathStatus{Property: "ro", Mount: "rw", Superblock: "rw", State: helper.OpenMount}},
		{"locked", [][]string{{"mount", "-o", "remount,bind,ro", s.Etc}},
			helper.PathStatus{Property: "ro", Mount: "ro", Superblock: "rw", State: helper.Locked}},
		{"mount_only", [][]string{{"mount", "-o", "remount,bind,rw", s.Etc}, {"btrfs", "property", "set", s.Etc, "ro", "false"}, {"mount", "-o", "remount,bind,ro", s.Etc}},
			helper.PathStatus{Property: "rw", Mount: "ro", Superblock: "rw", State: helper.MountOnly}},
		{"read_only_superblock", [][]string{{"mount", "-o", "remount,bind,rw", s.Etc}, {"mount", "-o", "remount,ro", s.Root}},
			helper.PathStatus{Property: "rw", Mount: "rw", Superblock: "ro", State: helper.MountOnly}},
	} {
		for _, step := range c.steps {
			run(t, step...)
		}
		got := r.Read().Paths[1]
		if got.SubvolumeID < 256 {
			t.Errorf("%s: subvolume id = %d", c.name, got.SubvolumeID)
		}
		got.SubvolumeID = 0
		c.want.Path, c.want.Filesystem, c.want.Subvolume = s.Etc, "btrfs", "/ROOTVOL/etc"
		if got != c.want {
			t.Errorf("%s: Read() = %+v, want %+v", c.name, got, c.want)
		}
	}
}

// All of it works on the mount table as well.
func TestReadOnAnOldKernel(t *testing.T) { lab.OnOldKernel(t, "^TestRead") }

func TestReadNeedsNoRoot(t *testing.T) {
	s := lab.New(t)
	run(t, "btrfs", "property", "set", s.Etc, "ro", "true")
	status := asNobody(t, func() helper.Status { return (&Reader{Paths: s.Protected(), StateDir: s.State}).Read() })
	if got := status.Paths[1]; got.State != helper.OpenMount || got.SubvolumeID == 0 || got.Error != "" {
		t.Errorf("Read() as nobody = %+v, want open mount", got)
	}
}

func TestReadOfWhatCannotBeProtected(t *testing.T) {
	s := lab.New(t)
	plain := filepath.Join(s.Root, "plain")
	bound := filepath.Join(s.Root, "bound")
	for _, d := range []string{plain, bound} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mount", "--bind", plain, bound)
	defer unix.Unmount(bound, unix.MNT_DETACH)
	link := filepath.Join(s.Root, "link")
	if err := os.Symlink(s.Etc, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		plain:                           "it is not a mount point",
		bound:                           "it is a directory on btrfs, not a subvolume",
		link:                            "it is a symbolic link",
		filepath.Join(link, "x"):        "it is a symbolic link",
		filepath.Join(s.Root, "absent"): "no such file or directory",
		"/proc/1/mountinfo":             "not a directory",
	} {
		status := (&Reader{Paths: []string{path}, StateDir: s.State}).Read()
		if status.State != helper.Unknown || !strings.Contains(status.Paths[0].Error, want) {
			t.Errorf("Read(%s) = %s, %q; want unknown, %q", path, status.State, status.Paths[0].Error, want)
		}
	}
}

func TestReadOfAFilesystemWithoutProperty(t *testing.T) {
	s := lab.New(t)
	run(t, "mount", "-t", "tmpfs", "none", s.State)
	defer unix.Unmount(s.State, unix.MNT_DETACH)
	r := &Reader{Paths: []string{s.State}}
	if got := r.Read().Paths[0]; got.Property != helper.NoFlag || got.State != helper.Unlocked || got.Filesystem != "tmpfs" {
		t.Errorf("Read() of a writable tmpfs = %+v", got)
	}
	p, err := protected.Open(s.State)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SetMountReadOnly(true); err != nil {
		t.Fatal(err)
	}
	if got := r.Read().Paths[0]; got.State != helper.Locked {
		t.Errorf("Read() of a read-only tmpfs = %+v", got)
	}
}

func TestWindowIsShownOnlyWhileNotLocked(t *testing.T) {
	s := lab.New(t)
	window := &helper.Window{Since: time.Unix(1_790_000_000, 0).UTC(), UID: 1000, User: "rrs"}
	if err := statefile.Write(s.State, statefile.State{Window: window}); err != nil {
		t.Fatal(err)
	}
	r := &Reader{Paths: []string{s.Etc}, StateDir: s.State}
	if got := r.Read().Window; got == nil || got.User != "rrs" {
		t.Errorf("window while unlocked = %+v", got)
	}
	run(t, "btrfs", "property", "set", s.Etc, "ro", "true")
	run(t, "mount", "-o", "remount,bind,ro", s.Etc)
	if got := r.Read(); got.Window != nil || got.State != helper.Locked {
		t.Errorf("window while locked = %+v", got)
	}
	if err := os.WriteFile(filepath.Join(s.State, statedir.StateFile), []byte("{half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := r.Read(); got.State != helper.Locked {
		t.Errorf("state with a damaged state file = %s, want locked", got.State)
	}
}

// Each of these must wake the watcher by itself: the regular look is an hour off.
func TestWatchWakesOnMountChangesAndOnTheStateFile(t *testing.T) {
	s := lab.New(t)
	stateDir := filepath.Join(s.State, "made-later")
	w := start(t, &Reader{Paths: []string{s.Etc}, StateDir: stateDir}, time.Hour)
	w.expect(t, "the first look", func(st helper.Status) bool { return st.State == helper.Unlocked })

	run(t, "mount", "-o", "remount,bind,ro", s.Etc)
	w.expect(t, "the mount flag", func(st helper.Status) bool { return st.Paths[0].State == helper.MountOnly })

	for _, user := range []string{"first", "second"} {
		if err := os.MkdirAll(stateDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := statefile.Write(stateDir, statefile.State{Window: &helper.Window{User: user}}); err != nil {
			t.Fatal(err)
		}
		w.expect(t, "the state file", func(st helper.Status) bool { return st.Window != nil && st.Window.User == user })
	}
	w.stop(t)
}

// However many mounts come in a burst, the first is acted on at once, and the rest together.
func TestABurstOfMountsWakesTwice(t *testing.T) {
	s := lab.New(t)
	w, err := newWaker(s.State)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	p, err := protected.Open(s.Etc)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	burst := func(changes int) {
		t.Helper()
		for i := range changes {
			if err := p.SetMountReadOnly(i%2 == 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(what string, want event, atMost time.Duration) {
		t.Helper()
		if got, err := w.wait(atMost); got != want || err != nil {
			t.Errorf("%s: wait() = %v, %v, want %v", what, got, err, want)
		}
	}
	burst(1)
	expect("the first change", mountsChanged, timeout)
	burst(50)
	if err := w.pause(settle); err != nil {
		t.Error(err)
	}
	expect("the others", mountsChanged, timeout)
	expect("nothing else", timePassed, time.Millisecond)
}

func TestWatchSeesThePropertyWithoutAnEvent(t *testing.T) {
	s := lab.New(t)
	w := start(t, &Reader{Paths: []string{s.Etc}, StateDir: s.State}, 10*time.Millisecond)
	w.expect(t, "the first look", func(st helper.Status) bool { return st.State == helper.Unlocked })
	run(t, "btrfs", "property", "set", s.Etc, "ro", "true")
	w.expect(t, "the property", func(st helper.Status) bool { return st.Paths[0].State == helper.OpenMount })
	w.stop(t)
}

func TestWatchReportsAChangeOnce(t *testing.T) {
	s := lab.New(t)
	w := start(t, &Reader{Paths: []string{s.Etc}, StateDir: s.State}, time.Millisecond)
	w.expect(t, "the first look", func(helper.Status) bool { return true })
	p, err := protected.Open(s.Etc)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 20 {
		for _, c := range []struct {
			readOnly bool
			want     helper.State
		}{{true, helper.MountOnly}, {false, helper.Unlocked}} {
			if err := p.SetMountReadOnly(c.readOnly); err != nil {
				t.Fatal(err)
			}
			// The very next report must be the new state, not the old one again.
			if got := w.next(t).Paths[0]; got.State != c.want {
				t.Fatalf("next report = %s, want %s", got.State, c.want)
			}
		}
	}
	w.stop(t)
}

type watching struct {
	statuses chan helper.Status
	cancel   context.CancelFunc
	done     chan error
}

func start(t *testing.T, r *Reader, every time.Duration) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{make(chan helper.Status, 100), cancel, make(chan error, 1)}
	go func() { w.done <- r.watch(ctx, every, func(s helper.Status) { w.statuses <- s }) }()
	t.Cleanup(cancel)
	return w
}

func (w *watching) next(t *testing.T) helper.Status {
	t.Helper()
	select {
	case s := <-w.statuses:
		return s
	case err := <-w.done:
		t.Fatalf("Watch ended: %v", err)
	case <-time.After(timeout):
		t.Fatal("Watch reported nothing")
	}
	return helper.Status{}
}

func (w *watching) expect(t *testing.T, what string, ok func(helper.Status) bool) {
	t.Helper()
	if s := w.next(t); !ok(s) {
		t.Fatalf("report after %s = %+v", what, s)
	}
}

func (w *watching) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	select {
	case err := <-w.done:
		if err != nil {
			t.Errorf("Watch() = %v after its context ended", err)
		}
	case <-time.After(timeout):
		t.Fatal("Watch goes on after its context ended")
	}
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

// asNobody calls f on a thread with the rights of the user nobody. The thread is
// never unlocked, so Go ends it with its goroutine.
func asNobody(t *testing.T, f func() helper.Status) helper.Status {
	t.Helper()
	result := make(chan helper.Status)
	go func() {
		lockThreadAs(t, 65534)
		result <- f()
	}()
	return <-result
}

// What the state costs that "status" and the applet read, with few and with many other
// mounts. The budget is three times as long with many. On Linux 6.18 it is 50 µs with either, and
// was 26 ms with many when the whole mount table was read; on an older kernel it is 270 µs.
func BenchmarkRead(b *testing.B) {
	for _, number := range []int{30, lab.ManyMounts} {
		b.Run(fmt.Sprint(number), func(b *testing.B) {
			s := lab.New(b)
			lab.MountMany(b, number)
			r := &Reader{Paths: s.Protected(), StateDir: s.State}
			for b.Loop() {
				r.Read()
			}
		})
	}
}

// What watching costs while something mounts 100 times a second among many other mounts, as
// containers do that come and go. The budget is 1 % of a core. On a busy
// machine with two it is 0.3 %, and was 28 % when the whole mount table was read.
func BenchmarkWatch(b *testing.B) {
	s := lab.New(b)
	points := lab.MountMany(b, lab.ManyMounts)
	r := &Reader{Paths: s.Protected(), StateDir: s.State}
	ctx, cancel := context.WithCancel(context.Background())
	spent := make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		before := threadTime()
		_ = r.Watch(ctx, func(helper.Status) {})
		spent <- threadTime() - before
	}()
	begin := time.Now()
	for i := 0; b.Loop(); i++ {
		point := points[i%len(points)]
		if err := unix.Mount("", point, "", unix.MS_BIND|unix.MS_REMOUNT|uintptr(i/len(points)%2)*unix.MS_NOEXEC, ""); err != nil {
			b.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(begin)
	cancel()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*(<-spent).Seconds()/took.Seconds(), "%-of-a-core")
}

// threadTime is the time of a processor that the calling thread has used.
func threadTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
