package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/protected"
	"immutray.org/helper/writers"
)

// overlay lays a writable overlay over /etc, or without an upper directory one that never
// can be, as systemd-confext(8) does. It returns how to take it off.
func (f *fixture) overlay(writable bool) (takeOff func()) {
	f.t.Helper()
	f.command("mount", "-t", "tmpfs", "none", "/run")
	options := "lowerdir=" + f.Etc + ":/run/more"
	for _, d := range []string{"upper", "work", "more"} {
		if err := os.Mkdir(filepath.Join("/run", d), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	if writable {
		options += ",upperdir=/run/upper,workdir=/run/work"
	}
	f.command("mount", "-t", "overlay", "overlay", "-o", options, f.Etc)
	return f.unmounter(f.Etc, "/run")
}

// unmounter returns what unmounts the points, once, at the latest when the test ends.
func (f *fixture) unmounter(points ...string) func() {
	once := func() {
		for _, p := range points {
			if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
				f.t.Errorf("cannot unmount %s: %v", p, err)
			}
		}
		points = nil
	}
	f.t.Cleanup(once)
	return once
}

// below is where the subvolume of /etc can be written to past what is mounted over it.
func (f *fixture) below() string { return filepath.Join(f.Top, "ROOTVOL/etc") }

// What is on top of /etc does not keep its subvolume from being locked and unlocked, and is
// locked and unlocked itself.
func TestASubvolumeBelowAnOverlayIsLocked(t *testing.T) {
	f := newFixture(t)
	takeOff := f.overlay(true)
	for range 2 {
		r := f.must(helper.Lock)
		f.expect("below an overlay", helper.Locked)
		if p := r.Status.Paths[1]; p.OnTop != "overlay" || p.Filesystem != "btrfs" || p.Subvolume != "/ROOTVOL/etc" || p.Error != "" {
			t.Errorf("it says of /etc %+v", p)
		}
		if err := f.Writable(f.below()); !errors.Is(err, unix.EROFS) {
			t.Errorf("locked, writing to the subvolume gives %v", err)
		}
		f.expectOthersWritable("below an overlay")
		f.must(helper.Unlock)
		f.expect("below an overlay", helper.Unlocked)
		if err := f.Writable(f.below()); err != nil {
			t.Errorf("unlocked, writing to the subvolume gives %v", err)
		}
	}
	f.closeTop()
	r := f.must(helper.Lock)
	if len(r.Notices) != 1 || !strings.Contains(r.Notices[0], "lock once more when that is unmounted") {
		t.Errorf("the mount below is out of reach, and the answer says %q", r.Notices)
	}
	takeOff()
	f.expect("without the overlay", helper.PartlyLocked)
	f.must(helper.Lock)
	f.expect("without the overlay, locked once more", helper.Locked)
}

// What is locked first and then covered is locked, but only as long as the cover is
// read-only; what can't be made writable is not called unlocked.
func TestAnOverlayOverALockedSubvolume(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	takeOff := f.overlay(true)
	if s := f.status(); s.State != helper.PartlyLocked || s.Paths[1].State != helper.OpenMount {
		t.Errorf("a writable overlay over it: %s, %+v", s.State, s.Paths[1])
	}
	if r := f.must(helper.Lock); strings.Contains(strings.Join(r.Notices, "\n"), "out of reach") {
		t.Errorf("nothing is left to be done below, and the answer says %q", r.Notices)
	}
	f.expect("a writable overlay over it, locked", helper.Locked)
	takeOff()
	f.expect("without the overlay", helper.Locked)

	takeOff = f.overlay(false)
	f.expect("a read-only overlay over it", helper.Locked)
	r := f.run(helper.Unlock)
	if r.Outcome == helper.Done || !strings.Contains(r.Error, `cannot unlock "`+f.Etc+`": what is mounted over it (overlay) is read-only: unmount that first`) {
		t.Errorf("unlock = %s: %s", r.Outcome, r.Error)
	}
	f.expect("after an unlock that can't be", helper.Locked)
	takeOff()
	f.must(helper.Unlock)
	f.expect("without the overlay, unlocked", helper.Unlocked)
	f.overlay(false)
	if got := f.status().State; got == helper.Locked {
		t.Error("the subvolume below a read-only overlay is writable, and the system is called locked")
	}
	f.must(helper.Lock)
	f.expect("a read-only overlay over an unlocked one, locked", helper.Locked)
}

// A program that has had a file open since before the overlay was mounted is found.
func TestAWriterBelowAnOverlayBlocks(t *testing.T) {
	f := newFixture(t)
	writer := f.start("writes", filepath.Join(f.Etc, "held"))
	f.overlay(true)
	r := f.run(helper.Lock)
	if r.Outcome != helper.Blocked || len(r.Writers) != 1 || r.Writers[0].PID != writer.pid() || r.Writers[0].Protected != f.Etc {
		t.Errorf("lock = %s: %s, %+v", r.Outcome, r.Error, r.Writers)
	}
	if s := f.status(); s.Paths[1].State != helper.Unlocked {
		t.Errorf("after a lock that was refused /etc is %+v", s.Paths[1])
	}
	scanner := writers.Scanner{Hidden: protected.HiddenAt}
	if found, err := scanner.Scan(t.Context(), f.Protected()); err != nil || len(found) != 1 || found[0].Protected != f.Etc {
		t.Errorf("asked who writes there: %+v, %v", found, err)
	}
	if got := writer.work(); got != "ok" {
		t.Errorf("the writer: %s", got)
	}
	writer.stop()
	f.must(helper.Lock)
}

// No command gets write access to what another mount hides.
func TestNoCommandBelowAnOverlay(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	f.overlay(false)
	_, r := f.engine.Grant(t.Context(), helper.Run{ID: "run", PID: os.Getpid()})
	if r.Outcome == helper.Done || !strings.Contains(r.Error, "something (overlay) is mounted over") {
		t.Errorf("Grant() = %s: %s", r.Outcome, r.Error)
	}
	f.expect("after that", helper.Locked)
}

// A bind mount of a directory, or another subvolume, over /etc: what they hide is locked too.
func TestASubvolumeBelowAnotherMountOfBtrfs(t *testing.T) {
	for name, what := range map[string]string{"a directory": "home/rrs/files", "another subvolume": "home/rrs"} {
		f := newFixture(t)
		if err := os.MkdirAll(filepath.Join(f.Root, what), 0o755); err != nil {
			t.Fatal(err)
		}
		f.command("mount", "--bind", filepath.Join(f.Root, what), f.Etc)
		takeOff := f.unmounter(f.Etc)
		f.engine.Config.Islands = nil // one of them is frozen here
		f.must(helper.Lock)
		if s := f.status(); s.State != helper.Locked || s.Paths[1].OnTop != "btrfs" || s.Paths[1].Subvolume != "/ROOTVOL/etc" {
			t.Errorf("%s over /etc: %s, %+v", name, s.State, s.Paths[1])
		}
		if err := f.Writable(f.below()); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s over /etc: writing to the subvolume gives %v", name, err)
		}
		f.must(helper.Unlock)
		takeOff()
		f.expect(name+" was over /etc", helper.Unlocked)
	}
}

// Where btrfs was and is no more, a mount flag does not make the path locked.
func TestWhatIsNoMoreOnBtrfsIsNotCalledLocked(t *testing.T) {
	f := newFixture(t)
	var kept config.Config
	f.engine.Keep = func(c config.Config) error { kept = c; return nil }
	f.must(helper.Lock)
	f.engine.Config = kept
	if err := unix.Unmount(f.Etc, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	f.command("mount", "-t", "tmpfs", "none", f.Etc)
	r := f.run(helper.Lock)
	if r.Outcome == helper.Done || r.Status.State == helper.Locked || !strings.Contains(r.Error, "it was on btrfs when it was last locked or unlocked") {
		t.Errorf("lock = %s: %s, the system is %s", r.Outcome, r.Error, r.Status.State)
	}
}
