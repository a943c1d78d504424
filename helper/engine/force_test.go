package engine

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/protected"
)

// What is open can be written, nothing else; and when it is closed an ordinary lock does
// the rest.
func TestForceClosesWhatWritersKeepOpen(t *testing.T) {
	f := newFixture(t)
	f.closeTop()
	path := filepath.Join(f.Root, "file")
	a := f.start("writes", path)
	r := f.must(helper.LockForce)
	if len(r.Writers) != 1 || r.Writers[0].PID != a.pid() || len(r.Notices) != 1 || !strings.Contains(r.Notices[0], path) {
		t.Errorf("writers %+v, notices %q, want the one program with its file", r.Writers, r.Notices)
	}
	f.expect("by force", helper.PartlyLocked)
	if got := f.status().Paths[0].State; got != helper.OpenMount {
		t.Errorf("%s is %s, want %s", f.Root, got, helper.OpenMount)
	}
	if got := a.work(); got != "ok" {
		t.Errorf("the program that has its file open: %s", got)
	}
	f.expectOthersWritable("by force")
	f.must(helper.LockForce) // nothing more can be done now

	a.stop()
	f.must(helper.Lock)
	f.expect("without the writer", helper.Locked)
}

// The program dies, as the warning says: this is the fact behind it.
func TestForceKillsAProgramThatWritesToAMapping(t *testing.T) {
	f := newFixture(t)
	a := f.start("maps", filepath.Join(f.Root, "file"))
	f.must(helper.LockForce)
	if got := a.work(); got == "ok" {
		t.Error("the program with the mapping lives, and has written")
	}
	a.stop()
	f.must(helper.Lock)
}

// The mount flag holds then, but not for who writes elsewhere.
func TestForceWithAWriterThroughAnotherMount(t *testing.T) {
	f := newFixture(t)
	a := f.start("writes", filepath.Join(f.Top, "ROOTVOL/etc/file"))
	r := f.must(helper.LockForce)
	f.expect("by force", helper.Locked)
	if len(r.Writers) != 1 || r.Writers[0].PID != a.pid() || len(r.Notices) != 2 {
		t.Errorf("writers %+v, notices %q, want the one program, and the mount", r.Writers, r.Notices)
	}
}

func TestForceWithoutWritersIsALock(t *testing.T) {
	f := newFixture(t)
	f.closeTop()
	if r := f.must(helper.LockForce); len(r.Writers) > 0 || len(r.Notices) > 0 {
		t.Errorf("writers %+v, notices %q, want none", r.Writers, r.Notices)
	}
	f.expect("by force", helper.Locked)
}

// expectAllUnlocked wants each path as it was before any lock.
func (f *fixture) expectAllUnlocked(when string) {
	f.t.Helper()
	for _, p := range f.status().Paths {
		if p.State != helper.Unlocked {
			f.t.Errorf("%s: %s is %s", when, p.Path, p.State)
		}
	}
}

func TestNoForceAgainstAPackageManager(t *testing.T) {
	f := newFixture(t)
	f.command("mount", "-t", "tmpfs", "none", "/var/lib")
	defer unix.Unmount("/var/lib", unix.MNT_DETACH)
	const lock = "/var/lib/dpkg/lock-frontend"
	writeFile(t, lock, "")
	f.start("holds a dpkg lock", lock)
	f.start("writes", filepath.Join(f.Root, "file"))
	if r := f.run(helper.LockForce); r.Outcome != helper.PackageManager || r.Busy == nil {
		t.Errorf("lock-force = %s: %s", r.Outcome, r.Error)
	}
	f.expectAllUnlocked("after the refused lock")
}

// One that begins while writers are waited for is found before the property is set, or
// else after: then it is taken back.
func TestNoForceAgainstAPackageManagerThatBeginsMeanwhile(t *testing.T) {
	for begins := range 2 {
		f := newFixture(t)
		p, err := protected.Open(f.Root)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		asked := 0
		err = closeToNewWrites(p, func() error {
			if asked++; asked > begins {
				return &packageManagerError{helper.Busy{Manager: "dpkg"}}
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "dpkg is running") || asked != begins+1 {
			t.Errorf("closeToNewWrites() = %v, asked %d times", err, asked)
		}
		f.expectAllUnlocked("after the refused lock")
	}
}

// A file system without a property can't be closed while it is in use.
func TestForceNeedsAProperty(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Join(f.Dir, "plain")
	if out, err := exec.Command("mkdir", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f.command("mount", "-t", "tmpfs", "none", dir)
	defer unix.Unmount(dir, unix.MNT_DETACH)
	f.engine.Config.Paths = append(f.engine.Config.Paths, dir)
	f.start("writes", filepath.Join(dir, "file"))
	if r := f.run(helper.LockForce); r.Outcome != helper.Blocked || len(r.Writers) != 1 {
		t.Errorf("lock-force = %s: %s", r.Outcome, r.Error)
	}
}
