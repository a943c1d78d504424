package inforce

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// A fixture is a test system with a configuration of its own.
type fixture struct {
	*lab.System
	t      *testing.T
	source Source
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s := lab.New(t)
	f := &fixture{s, t, Source{File: filepath.Join(s.Dir, "conf", "config.toml"), Kept: filepath.Join(s.Dir, "kept", "config.json")}}
	if err := os.Mkdir(filepath.Dir(f.source.File), 0o755); err != nil {
		t.Fatal(err)
	}
	f.write(f.Protected()...)
	return f
}

// write has the file name these paths.
func (f *fixture) write(paths ...string) {
	f.t.Helper()
	text := fmt.Sprintf("paths = [\"%s\"]\nislands = []\ndrain = \"7s\"\nstate_dir = %q\n", strings.Join(paths, `", "`), f.State)
	if err := os.WriteFile(f.source.File, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) open(c config.Config) {
	f.t.Helper()
	if err := statefile.Write(c.StateDir, statefile.State{Opened: &c}); err != nil {
		f.t.Fatal(err)
	}
}

func write(text string) func(*fixture) error {
	return func(f *fixture) error { return os.WriteFile(f.source.File, []byte(text), 0o644) }
}

// spoiled is every way in which a file can be refused.
var spoiled = map[string]func(*fixture) error{
	"a word mistyped":   write("pats = 1\n"),
	"no TOML":           write("{"),
	"a wrong value":     write("paths = 7\n"),
	"no text":           write("\x00\xff"),
	"too large":         write(strings.Repeat("# much\n", 1<<14)),
	"writable by all":   func(f *fixture) error { return os.Chmod(f.source.File, 0o666) },
	"somebody else's":   func(f *fixture) error { return os.Chown(f.source.File, 65534, 65534) },
	"a directory":       func(f *fixture) error { return errors.Join(os.Remove(f.source.File), os.Mkdir(f.source.File, 0o755)) },
	"a symbolic link":   func(f *fixture) error { return replace(f, func(p string) error { return os.Symlink("/dev/null", p) }) },
	"a FIFO":            func(f *fixture) error { return replace(f, func(p string) error { return unix.Mkfifo(p, 0o644) }) },
	"above it anyone's": func(f *fixture) error { return os.Chmod(filepath.Dir(f.source.File), 0o777) },
	"above it a file": func(f *fixture) error {
		dir := filepath.Dir(f.source.File)
		return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644))
	},
	"above it a link": func(f *fixture) error {
		dir := filepath.Dir(f.source.File)
		return errors.Join(os.Rename(dir, dir+".real"), os.Symlink(dir+".real", dir))
	},
	// As of a disk that fails: the memory of a process can't be read where nothing is.
	"an I/O error": func(f *fixture) error { return unix.Mount("/proc/self/mem", f.source.File, "", unix.MS_BIND, "") },
}

// amiss is every way in which a file can name what can't be protected.
var amiss = map[string]func(*fixture) []string{
	"nothing there":     func(f *fixture) []string { return []string{"/nonexistent"} },
	"no mount point":    func(f *fixture) []string { return []string{f.Root, filepath.Join(f.Root, "etc", "dir")} },
	"a file":            func(f *fixture) []string { return []string{filepath.Join(f.Root, "etc", "file"), f.Etc} },
	"below what it has": func(f *fixture) []string { return []string{filepath.Join(f.Root, "etc", "link")} },
}

func replace(f *fixture, by func(string) error) error {
	return errors.Join(os.Remove(f.source.File), by(f.source.File))
}

func TestWhatIsUsedInsteadOfARefusedFile(t *testing.T) {
	for name, spoil := range spoiled {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			good := f.source.Load()
			if good.Refused != nil || good.Drain != 7*time.Second || !slices.Equal(good.Paths, f.Protected()) {
				t.Fatalf("the good file: %+v", good)
			}
			if err := spoil(f); err != nil {
				t.Fatal(err)
			}
			defer unix.Unmount(f.source.File, unix.MNT_DETACH)
			f.want("with nothing to go by", config.Default())
			if err := f.source.Keep(good); err != nil {
				t.Fatal(err)
			}
			f.want("with what was used last", good)
			opened := good
			opened.Paths = []string{f.Etc}
			f.open(opened)
			f.want("with what was opened", opened)
			// The one before does not have to be whole for that.
			if err := os.WriteFile(f.source.Kept, []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(f.State, statedir.StateFile)); err != nil {
				t.Fatal(err)
			}
			c := f.source.Load()
			if !errors.Is(c.Refused, config.ErrRefused) || !strings.Contains(c.Refused.Error(), f.source.Kept) || !slices.Equal(c.Paths, config.Default().Paths) {
				t.Errorf("with both damaged: %+v", c)
			}
		})
	}
}

// want holds what is in force, and why the file is not.
func (f *fixture) want(when string, want config.Config) {
	f.t.Helper()
	got := f.source.Load()
	if !errors.Is(got.Refused, config.ErrRefused) || !strings.Contains(got.Refused.Error(), "cannot use "+f.source.File+": ") {
		f.t.Errorf("%s: refused for %v", when, got.Refused)
	}
	if got.Refused = nil; !reflect.DeepEqual(got, want) {
		f.t.Errorf("%s: in force is %+v, want %+v", when, got, want)
	}
}

func TestAFileThatNamesWhatIsNotThere(t *testing.T) {
	for name, paths := range amiss {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			good := f.source.Load()
			if err := errors.Join(os.Mkdir(filepath.Join(f.Etc, "dir"), 0o755), os.WriteFile(filepath.Join(f.Etc, "file"), nil, 0o644),
				os.Symlink(f.Root, filepath.Join(f.Etc, "link"))); err != nil {
				t.Fatal(err)
			}
			f.write(paths(f)...)
			// A machine on which nothing was ever locked is to be set up first.
			if c := f.source.Load(); c.Refused != nil || !slices.Equal(c.Paths, paths(f)) {
				t.Errorf("where nothing was used yet: %+v", c)
			}
			if err := f.source.Keep(good); err != nil {
				t.Fatal(err)
			}
			f.want("with what was used last", good)
		})
	}
}

// Only root can have written what is believed.
func TestWhatIsKeptIsTrustedLikeTheFile(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"writable by all":   func(p string) error { return os.Chmod(p, 0o666) },
		"somebody else's":   func(p string) error { return os.Chown(p, 65534, 65534) },
		"above it anyone's": func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) },
		"a symbolic link":   func(p string) error { return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p)) },
		"no path":           func(p string) error { return os.WriteFile(p, []byte(`{"paths":[],"state_dir":"/run/x"}`), 0o644) },
		"a path with ..": func(p string) error {
			return os.WriteFile(p, []byte(`{"paths":["/a/../b"],"state_dir":"/run/x"}`), 0o644)
		},
		"cut off": func(p string) error { return os.Truncate(p, 20) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if err := f.source.Keep(f.source.Load()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(spoil(f.source.Kept), write("pats = 1\n")(f)); err != nil {
				t.Fatal(err)
			}
			if c := f.source.Load(); !slices.Equal(c.Paths, config.Default().Paths) || c.Refused == nil {
				t.Errorf("in force is %+v, want the default", c)
			}
		})
	}
}

// A user may not be allowed to read the file; what is kept he is.
func TestAUserSeesWhatIsInForce(t *testing.T) {
	f := newFixture(t)
	old := unix.Umask(0o077)
	err := f.source.Keep(f.source.Load())
	unix.Umask(old)
	if err := errors.Join(err, os.Chmod(f.source.File, 0o600)); err != nil {
		t.Fatal(err)
	}
	seen := make(chan config.Config)
	go func() {
		runtime.LockOSThread() // and never unlocked: setresuid(2) is for one thread as a raw call
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			t.Errorf("setresuid: %v", errno)
		}
		seen <- f.source.Load()
	}()
	c := <-seen
	if !slices.Equal(c.Paths, f.Protected()) || !errors.Is(c.Refused, os.ErrPermission) {
		t.Errorf("a user sees %+v", c)
	}
}

// The window, its timer and the commands at work are on record where they began.
func TestAnotherStateDirWaitsForTheLock(t *testing.T) {
	f := newFixture(t)
	good := f.source.Load()
	if err := f.source.Keep(good); err != nil {
		t.Fatal(err)
	}
	f.open(good)
	other := filepath.Join(f.Dir, "other")
	text := fmt.Sprintf("paths = [%q]\nstate_dir = %q\n", f.Root, other)
	if err := os.WriteFile(f.source.File, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if c := f.source.Load(); c.StateDir != f.State || c.Refused != nil || !slices.Equal(c.Paths, []string{f.Root}) {
		t.Errorf("while it is open: %+v", c)
	}
	if err := statefile.Write(f.State, statefile.State{}); err != nil {
		t.Fatal(err)
	}
	if c := f.source.Load(); c.StateDir != other {
		t.Errorf("when it is locked: %+v", c)
	}
}

func TestKeepWritesOnlyWhatIsNew(t *testing.T) {
	f := newFixture(t)
	c := f.source.Load()
	var before unix.Stat_t
	for i := range 3 {
		if i == 2 {
			c.Drain++
		}
		if err := f.source.Keep(c); err != nil {
			t.Fatal(err)
		}
		var now unix.Stat_t
		if err := unix.Stat(f.source.Kept, &now); err != nil {
			t.Fatal(err)
		}
		if i > 0 && (now.Ino != before.Ino) != (i == 2) {
			t.Errorf("Keep() number %d: inode %d, before %d", i, now.Ino, before.Ino)
		}
		before = now
	}
	if err := errors.Join(os.Chmod(filepath.Dir(f.source.Kept), 0o777), os.Remove(f.source.Kept)); err != nil {
		t.Fatal(err)
	}
	if err := f.source.Keep(c); err == nil {
		t.Error("it is kept where anyone can write")
	}
}
