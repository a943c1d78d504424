package nfpm

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// A scratch is this machine as a throw-away copy: what is written goes to upper, and
// goes away with the test.
type scratch struct {
	t           *testing.T
	upper, root string
}

// newScratch builds one in a mount namespace of its own, which only this test's thread
// and the programs it starts are in.
func newScratch(t *testing.T) *scratch {
	t.Helper()
	lab.Require(t, "dpkg:dpkg")
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to mount a copy of this machine")
	}
	pkg := packageFile(t, ".deb")
	runtime.LockOSThread() // for good: the thread ends with the test, the namespace with it
	must(t, "leave the mount namespace", unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS))
	must(t, "make mounts private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	dir := t.TempDir()
	must(t, "mount a tmpfs", unix.Mount("scratch", dir, "tmpfs", 0, "mode=0755"))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	s := &scratch{t, filepath.Join(dir, "upper"), filepath.Join(dir, "root")}
	work := filepath.Join(dir, "work")
	for _, d := range []string{s.upper, s.root, work} {
		must(t, "make a directory", os.Mkdir(d, 0o755))
	}
	must(t, "mount the copy", unix.Mount("scratch", s.root, "overlay", 0, "lowerdir=/,upperdir="+s.upper+",workdir="+work))
	// Programs in the copy can't reach this machine's systemd.
	must(t, "mount /run", unix.Mount("scratch", s.path("run"), "tmpfs", 0, "mode=0755"))
	must(t, "copy the package", exec.Command("cp", pkg, s.path("run/immutray.deb")).Run())
	return s
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("cannot %s: %v", what, err)
	}
}

func (s *scratch) path(name string) string { return filepath.Join(s.root, name) }

func (s *scratch) exists(name string) bool {
	_, err := os.Lstat(s.path(name))
	return err == nil
}

// write makes a file with the directories above it.
func (s *scratch) write(name string) {
	s.t.Helper()
	must(s.t, "make a directory", os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	must(s.t, "write a file", os.WriteFile(s.path(name), nil, 0o644))
}

func (s *scratch) dpkg(args ...string) (string, error) {
	// Without triggers, which belong to other packages, and without dependencies.
	cmd := exec.Command("dpkg", append([]string{"--no-triggers", "--force-depends"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.root}
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *scratch) mustDpkg(args ...string) {
	s.t.Helper()
	if out, err := s.dpkg(args...); err != nil {
		s.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
}

// left lists what is in the copy and not on the machine, and what of the machine was
// changed or removed. dpkg's own notes are left out.
func (s *scratch) left() []string {
	s.t.Helper()
	var found []string
	err := filepath.WalkDir(s.upper, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, s.upper)
		if name == "/var/lib/dpkg" {
			return filepath.SkipDir
		}
		if name == "/var/log/dpkg.log" {
			return nil
		}
		// A directory of the machine is there because something in it was written.
		if info, err := os.Lstat("/" + name); err == nil && info.IsDir() && entry.IsDir() {
			return nil
		}
		found = append(found, name)
		return nil
	})
	must(s.t, "walk through what changed", err)
	return found
}

const (
	wants         = "etc/systemd/system/sysinit.target.wants"
	sealEnabled   = wants + "/immutability-seal.service"
	unsealEnabled = wants + "/immutability-unseal.service"
	autostart     = "etc/xdg/autostart/immutray.desktop"
	helperFile    = "usr/libexec/immutray/immutray-helper"
	unfinished    = "var/lib/immutray/unfinished-boots"
)

// alsoEnabled are the other units that an administrator may have enabled.
var alsoEnabled = []string{
	"etc/systemd/system/sleep.target.wants/immutray-sleep.service",
	"etc/systemd/system/multi-user.target.wants/immutray-logout.path",
	"etc/systemd/system/timers.target.wants/immutray-metrics.timer",
}

func TestInstallRemovePurge(t *testing.T) {
	s := newScratch(t)
	s.mustDpkg("--install", "/run/immutray.deb")
	for _, name := range []string{helperFile, autostart, "usr/share/man/man1/immutectl.1.gz"} {
		if !s.exists(name) {
			t.Errorf("%s is not installed", name)
		}
	}
	for _, name := range s.left() {
		if strings.HasPrefix(name, "/etc/systemd/") {
			t.Errorf("installing made %s; it must enable nothing", name)
		}
	}

	// What administrators and the helper create in the course of time.
	s.write("etc/immutray/config.toml")
	s.write("run/immutray/state.json")
	s.write(unfinished)
	s.write("var/lib/immutray/config.json")
	must(t, "make a directory", os.MkdirAll(s.path(wants), 0o755))
	for link, mark := range map[string]string{sealEnabled: "run/immutray-seal", unsealEnabled: "run/immutray-unseal"} {
		unit := "/usr/lib/systemd/system/" + filepath.Base(link)
		if !s.exists(unit) {
			t.Errorf("%s is not installed", unit)
		}
		must(t, "enable a unit", os.Symlink(unit, s.path(link)))
		must(t, "make a directory", os.Mkdir(s.path(mark), 0o755))
	}
	for _, link := range alsoEnabled {
		unit := "/usr/lib/systemd/system/" + filepath.Base(link)
		if !s.exists(unit) {
			t.Errorf("%s is not installed", unit)
		}
		must(t, "make a directory", os.MkdirAll(s.path(filepath.Dir(link)), 0o755))
		must(t, "enable a unit", os.Symlink(unit, s.path(link)))
	}

	s.mustDpkg("--install", "/run/immutray.deb") // as an upgrade does
	for _, name := range append([]string{sealEnabled, unsealEnabled, "etc/immutray/config.toml", "run/immutray/state.json"}, alsoEnabled...) {
		if !s.exists(name) {
			t.Errorf("an upgrade removed %s", name)
		}
	}

	s.mustDpkg("--remove", "immutray")
	for _, name := range append([]string{sealEnabled, unsealEnabled, "run/immutray", "run/immutray-seal", "run/immutray-unseal", unfinished, helperFile}, alsoEnabled...) {
		if s.exists(name) {
			t.Errorf("%s is left after removing", name)
		}
	}
	for _, name := range []string{"etc/immutray/config.toml", autostart} {
		if !s.exists(name) {
			t.Errorf("removing took the configuration %s", name)
		}
	}

	s.mustDpkg("--purge", "immutray")
	for _, name := range s.left() {
		if !strings.HasSuffix(name, ".target.wants") { // the test's own
			t.Errorf("%s is left after purging, or was changed", name)
		}
	}
}

// pickySystemctl notes what it stops. As systemd's own does since version 262, it stops
// nothing of several units when one of them is not loaded.
const pickySystemctl = `#!/bin/sh
test "$1" = stop || exit 0
shift
for unit; do
	case $unit in
	immutability-seal.service | immutray-inhibit.service | 'immutray-relock@*.timer') ;;
	*)
		echo "Failed to enqueue jobs: Unit $unit not loaded." >&2
		exit 5
		;;
	esac
done
printf '%s\n' "$@" >>/run/stopped
`

// Units that the boot or a window has started are stopped, even if others are not loaded.
func TestRemovingStopsUnits(t *testing.T) {
	s := newScratch(t)
	s.mustDpkg("--install", "/run/immutray.deb")
	must(t, "make a directory", os.MkdirAll(s.path("run/systemd/system"), 0o755))
	must(t, "write a program", os.WriteFile(s.path("usr/bin/systemctl"), []byte(pickySystemctl), 0o755))
	s.mustDpkg("--remove", "immutray")
	stopped, err := os.ReadFile(s.path("run/stopped"))
	if want := "immutability-seal.service\nimmutray-inhibit.service\nimmutray-relock@*.timer\n"; err != nil || string(stopped) != want {
		t.Errorf("stopped:\n%s%v, want:\n%s", stopped, err, want)
	}
}

// A locked system refuses to have the package removed or upgraded, says why, and goes
// on working.
func TestLockedSystemKeepsThePackage(t *testing.T) {
	for _, dir := range []string{"usr", "etc"} {
		t.Run(dir, func(t *testing.T) {
			s := newScratch(t)
			s.mustDpkg("--install", "/run/immutray.deb")
			// Without the hook of dpkg's, which would refuse before them: the other package
			// managers have none.
			must(t, "remove the hook", os.Remove(s.path("etc/dpkg/dpkg.cfg.d/immutray")))
			before := s.left()
			lock := s.lock(dir)
			for _, args := range [][]string{{"--remove", "immutray"}, {"--purge", "immutray"}, {"--install", "/run/immutray.deb"}} {
				out, err := s.dpkg(args...)
				if err == nil || !strings.Contains(out, "immutray: /"+dir+" is read-only") || !strings.Contains(out, "immutectl unlock") {
					t.Errorf("dpkg %v: %v\n%s", args, err, out)
				}
			}
			// The word before says what was last asked for.
			if out, err := s.dpkg("--status", "immutray"); err != nil || !strings.Contains(out, " ok installed\n") {
				t.Errorf("the package is no longer installed: %v\n%s", err, out)
			}
			if after := s.left(); strings.Join(after, "\n") != strings.Join(before, "\n") {
				t.Errorf("before:\n%v\nafter:\n%v", before, after)
			}
			lock.open()
			s.mustDpkg("--purge", "immutray")
			for _, name := range s.left() {
				t.Errorf("%s is left after purging, or was changed", name)
			}
		})
	}
}
