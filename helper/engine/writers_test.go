package engine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// expectBlocked checks that a lock was refused because of the writer, and that
// nothing about the path has changed.
func (f *fixture) expectBlocked(protected string, is func(helper.Writer) bool) {
	f.t.Helper()
	before := f.status()
	result := f.run(helper.Lock)
	if result.Outcome != helper.Blocked {
		f.t.Fatalf("lock = %s: %s; want %s", result.Outcome, result.Error, helper.Blocked)
	}
	if len(result.Writers) != 1 || !is(result.Writers[0]) || result.Writers[0].Protected != protected {
		f.t.Errorf("writers = %+v", result.Writers)
	}
	for i, p := range f.status().Paths {
		if p.Path == protected && p != before.Paths[i] {
			f.t.Errorf("the lock was refused, yet %+v became %+v", before.Paths[i], p)
		}
	}
	f.expectOthersWritable("after the refused lock")
}

func TestAProgramThatWritesBlocksTheLock(t *testing.T) {
	for role, kind := range map[string]helper.WriterKind{"writes": helper.WriterFile, "maps": helper.WriterMapping} {
		t.Run(role, func(t *testing.T) {
			f := newFixture(t)
			path := filepath.Join(f.Root, "file")
			a := f.start(role, path)
			for range 3 {
				f.expectBlocked(f.Root, func(w helper.Writer) bool {
					return w.Kind == kind && w.PID == a.pid() && w.Path == path && strings.HasSuffix(w.Program, ".test")
				})
				if got := a.work(); got != "ok" {
					t.Fatalf("the writer after the refused lock: %s", got)
				}
			}
			a.stop()
			f.must(helper.Lock)
		})
	}
}

// The mount flag covers one mount. A program that writes through another one would
// not survive the property.
func TestAWriterThroughAnotherMountBlocksTheLock(t *testing.T) {
	for role, kind := range map[string]helper.WriterKind{"writes": helper.WriterFile, "maps": helper.WriterMapping} {
		t.Run(role, func(t *testing.T) {
			f := newFixture(t)
			a := f.start(role, filepath.Join(f.Top, "ROOTVOL/etc/file"))
			f.expectBlocked(f.Etc, func(w helper.Writer) bool { return w.Kind == kind && w.PID == a.pid() })
			if got := a.work(); got != "ok" {
				t.Fatalf("the writer after the refused lock: %s", got)
			}
		})
	}
}

func TestAWriterInAnotherNamespaceBlocksTheLock(t *testing.T) {
	f := newFixture(t)
	command := exec.Command("unshare", "--mount", "--propagation=private", "/proc/self/exe", filepath.Join(f.Etc, "file"))
	command.Path, _ = exec.LookPath("unshare")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command.Args[3] = self
	command.Env = append(os.Environ(), actorVariable+"=writes")
	a := startActor(t, command)
	f.expectBlocked(f.Etc, func(w helper.Writer) bool { return w.PID == a.pid() })
	if got := a.work(); got != "ok" {
		t.Fatalf("the writer after the refused lock: %s", got)
	}
}

func TestADeletedFileThatIsStillReadDoesNotBlockTheLock(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(f.Root, "libold.so")
	writeFile(t, path, "every upgrade leaves some")
	a := f.start("reads deleted", path)
	f.must(helper.Lock)
	f.expect("after lock", helper.Locked)
	if got := a.work(); got != "ok" {
		t.Errorf("the reader after the lock: %s", got)
	}
}

func TestALoopDeviceBlocksTheLock(t *testing.T) {
	f := newFixture(t)
	image := filepath.Join(f.Root, "image")
	writeFile(t, image, strings.Repeat("x", 1<<20))
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Fatal(err)
	}
	device := strings.TrimSpace(string(out))
	defer exec.Command("losetup", "--detach", device).Run()
	f.expectBlocked(f.Root, func(w helper.Writer) bool {
		return w.Kind == helper.WriterLoop && w.Device == device && w.Path == image
	})
}

func TestASwapFileBlocksTheLock(t *testing.T) {
	f := newFixture(t)
	file := filepath.Join(f.Root, "swapfile")
	f.command("btrfs", "filesystem", "mkswapfile", "--size", "8m", file)
	f.command("swapon", file)
	defer exec.Command("swapoff", file).Run()
	f.expectBlocked(f.Root, func(w helper.Writer) bool { return w.Kind == helper.WriterSwap && w.Path == file })
	f.command("swapoff", file)
	f.must(helper.Lock)
}

// The property alone killed such a process with SIGBUS on its next insert.
func TestADatabaseInUseSurvivesALock(t *testing.T) {
	lab.Require(t, "sqlite3:sqlite3")
	f := newFixture(t)
	db := exec.Command("sqlite3", "-batch", filepath.Join(f.Root, "data.db"))
	stdin, err := db.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A first write, so that the write-ahead log is mapped before the lock is tried;
	// the answer "ready" says that it was done.
	go stdin.Write([]byte("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1); SELECT 'started';\n"))
	a := startDatabase(t, db)
	result := f.run(helper.Lock)
	if result.Outcome != helper.Blocked || len(result.Writers) == 0 || result.Writers[0].PID != db.Process.Pid {
		t.Fatalf("lock = %s, writers %+v", result.Outcome, result.Writers)
	}
	for range 3 {
		stdin.Write([]byte("INSERT INTO t VALUES(2); SELECT 'inserted';\n"))
		if got := a.answer(); got != "inserted" {
			t.Fatalf("insert after the refused lock: %s", got)
		}
	}
	stdin.Write([]byte("PRAGMA integrity_check;\nSELECT count(*) FROM t;\n"))
	if check, count := a.answer(), a.answer(); check != "ok" || count != "4" {
		t.Errorf("integrity check %q, %q rows; want ok, 4", check, count)
	}
	stdin.Close()
	db.Wait()
	f.must(helper.Lock)
}

func TestAPackageManagerAtWorkRefusesTheLock(t *testing.T) {
	for _, c := range []struct{ manager, lock, role string }{
		{"dpkg", "/var/lib/dpkg/lock-frontend", "holds a dpkg lock"},
		{"dpkg", "/var/lib/dpkg/lock", "holds a dpkg lock"},
		{"rpm", "/var/lib/rpm/.rpm.lock", "holds a dpkg lock"},
		{"pacman", "/var/lib/pacman/db.lck", "writes"},
	} {
		t.Run(c.lock, func(t *testing.T) {
			f := newFixture(t)
			f.closeTop()
			// Below a mount of our own: the machine's package manager stays out of it.
			f.command("mount", "-t", "tmpfs", "none", "/var/lib")
			defer unix.Unmount("/var/lib", unix.MNT_DETACH)
			writeFile(t, c.lock, "")
			r := f.must(helper.Lock) // the file alone is not the lock
			f.must(helper.Unlock)
			holder := f.start(c.role, c.lock)
			pid := holder.pid()
			if c.manager == "pacman" { // there it is left behind, and of its holder nothing is known
				pid = 0
				if len(r.Notices) != 1 || !strings.Contains(r.Notices[0], c.lock) {
					t.Errorf("the notices with a lock left behind are %q", r.Notices)
				}
			}
			result := f.run(helper.Lock)
			if result.Outcome != helper.PackageManager || result.Busy == nil {
				t.Fatalf("lock = %s: %s", result.Outcome, result.Error)
			}
			if h := result.Busy; h.Manager != c.manager || h.PID != pid || (pid != 0 && h.Program != "exe") {
				t.Errorf("holder = %+v", h)
			}
			f.expect("after the refused lock", helper.Unlocked)
		})
	}
}

func TestAnIslandThatWouldFreezeRefusesTheLock(t *testing.T) {
	f := newFixture(t)
	plain := filepath.Join(f.Root, "srv")
	bound := filepath.Join(f.Root, "opt")
	for _, d := range []string{plain, bound} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A mount of its own, but of the protected subvolume: the property covers it.
	f.command("mount", "--bind", plain, bound)
	defer unix.Unmount(bound, unix.MNT_DETACH)
	f.engine.Config.Islands = append(f.engine.Config.Islands, plain, bound, filepath.Join(f.Root, "absent"))
	for _, verb := range []helper.Verb{helper.Lock, helper.Seal} {
		result := f.run(verb)
		if result.Outcome != helper.NotPrepared || strings.Join(result.Islands, " ") != bound+" "+plain {
			t.Errorf("%s = %s, islands %q: %s", verb, result.Outcome, result.Islands, result.Error)
		}
		f.expect("after the refused "+string(verb), helper.Unlocked)
	}
	f.engine.Config.AllowReadonly = []string{plain, bound}
	f.must(helper.Lock)
}

func TestSealDoesWhatItCanWhereAWriterBlocks(t *testing.T) {
	for role, want := range map[string]helper.State{"writes": helper.OpenMount, "maps": helper.Unlocked} {
		t.Run(role, func(t *testing.T) {
			f := newFixture(t)
			a := f.start(role, filepath.Join(f.Etc, "file"))
			result := f.run(helper.Seal)
			if result.Outcome != helper.Blocked {
				t.Errorf("seal = %s: %s", result.Outcome, result.Error)
			}
			if got := f.status().Paths; got[0].State != helper.Locked || got[1].State != want {
				t.Errorf("after seal: / is %s and /etc %s, want locked and %s", got[0].State, got[1].State, want)
			}
			if got := a.work(); got != "ok" {
				t.Errorf("the writer after the seal: %s", got)
			}
		})
	}
}

func TestDescribeEscapesWhatAProgramCallsItself(t *testing.T) {
	err := &blockedError{path: "/", writers: []helper.Writer{{Kind: helper.WriterFile, PID: 7, Program: "a\n\x1b[2J", Path: "/x\n"}}}
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("Error() = %q", err.Error())
	}
	if !errors.Is(&blockedError{path: "/", cause: unix.EBUSY}, unix.EBUSY) {
		t.Error("EBUSY is not in the chain")
	}
}
