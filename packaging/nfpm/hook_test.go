package nfpm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallPackage builds another package, with one file.
func (s *scratch) smallPackage(version string) (inside string) {
	s.t.Helper()
	tree := s.t.TempDir()
	for name, text := range map[string]string{
		"DEBIAN/control":      "Package: small\nVersion: " + version + "\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: small\n",
		"usr/lib/small/file":  version,
		"etc/small/small.cfg": version,
	} {
		file := filepath.Join(tree, name)
		must(s.t, "make a directory", os.MkdirAll(filepath.Dir(file), 0o755))
		must(s.t, "write a file", os.WriteFile(file, []byte(text), 0o644))
	}
	must(s.t, "make the tree readable", os.Chmod(tree, 0o755))
	inside = "/run/small-" + version + ".deb"
	must(s.t, "build a package", exec.Command("dpkg-deb", "--root-owner-group", "--build", tree, s.path(inside)).Run())
	return inside
}

// dpkgStatus is dpkg's notion of what is installed.
func (s *scratch) dpkgStatus() string {
	s.t.Helper()
	data, err := os.ReadFile(s.path("var/lib/dpkg/status"))
	must(s.t, "read dpkg's database", err)
	return string(data)
}

// In a locked system dpkg must not even begin: as /var/lib is writable, it would note the
// package as half installed, and apt would refuse everything else until that is repaired.
func TestLockedSystemStopsDpkgBeforeItBegins(t *testing.T) {
	for _, dir := range []string{"usr", "etc"} {
		t.Run(dir, func(t *testing.T) {
			s := newScratch(t)
			first, second := s.smallPackage("1"), s.smallPackage("2")
			s.mustDpkg("--install", "/run/immutray.deb", first)
			lock := s.lock(dir)
			before := s.dpkgStatus()
			for _, args := range [][]string{{"--install", second}, {"--remove", "small"}, {"--purge", "small"}, {"--configure", "--pending"}} {
				out, err := s.dpkg(args...)
				if err == nil || !strings.Contains(out, "cannot change packages: /"+dir+" is read-only\n") || !strings.Contains(out, `"immutectl unlock"`) {
					t.Errorf("dpkg %v: %v\n%s", args, err, out)
				}
			}
			if s.dpkgStatus() != before {
				t.Errorf("dpkg noted something although it was stopped: %s", s.status("small"))
			}

			// Another system is not locked with this one.
			const other = "/run/other"
			must(t, "make another system", os.MkdirAll(s.path(other+"/var/lib/dpkg/info"), 0o755))
			must(t, "make another system", os.Mkdir(s.path(other+"/var/lib/dpkg/updates"), 0o755))
			s.write(other + "/var/lib/dpkg/status")
			s.mustDpkg("--root="+other, "--unpack", first)

			lock.open()
			s.mustDpkg("--install", second)
			if got := s.status("small"); got != "install ok installed 2" {
				t.Errorf("small is %q after the system was unlocked", got)
			}
		})
	}
}

// A command of "immutectl run" has mounts of its own that are writable, while those of the
// system are not; dpkg is stopped in the system alone.
func TestDpkgWithWriteAccessOfItsOwnIsNotStopped(t *testing.T) {
	s := newScratch(t)
	first, second := s.smallPackage("1"), s.smallPackage("2")
	s.mustDpkg("--install", "/run/immutray.deb", first)
	s.lock("usr")
	s.lock("etc")
	script := `mount -o remount,bind,rw "$0/usr" && mount -o remount,bind,rw "$0/etc" && exec chroot "$0" dpkg --no-triggers --force-depends --install "$1"`
	inside := exec.Command("unshare", "--mount", "sh", "-c", script, s.root, second)
	inside.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
	if out, err := inside.CombinedOutput(); err != nil {
		t.Errorf("dpkg that can write: %v\n%s", err, out)
	}
	if got := s.status("small"); got != "install ok installed 2" {
		t.Errorf("small is %q", got)
	}
	if out, err := s.dpkg("--remove", "small"); err == nil || !strings.Contains(out, "is read-only\n") || !strings.Contains(out, `"sudo immutectl run -- COMMAND"`) {
		t.Errorf("dpkg in the locked system: %v\n%s", err, out)
	}
}

// The configuration file that a removed package leaves does not stop dpkg.
func TestRemovedPackageDoesNotStopDpkg(t *testing.T) {
	s := newScratch(t)
	s.mustDpkg("--install", "/run/immutray.deb")
	s.mustDpkg("--remove", "immutray")
	if !s.exists("etc/dpkg/dpkg.cfg.d/immutray") {
		t.Error("removing took a configuration file")
	}
	s.lock("etc")
	s.mustDpkg("--remove", "immutray") // for which nothing is left to be done
}

// status is what dpkg says about a package, and its version.
func (s *scratch) status(name string) string {
	s.t.Helper()
	cmd := exec.Command("dpkg-query", "--admindir="+s.path("var/lib/dpkg"), "--show", "--showformat=${Status} ${Version}", name)
	out, err := cmd.CombinedOutput()
	must(s.t, "ask dpkg", err)
	return string(out)
}

// A readOnly is a directory of a scratch that can't be written to.
type readOnly struct {
	s   *scratch
	dir string
}

func (s *scratch) lock(dir string) readOnly {
	s.t.Helper()
	dir = s.path(dir)
	must(s.t, "bind "+dir, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	must(s.t, "lock "+dir, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	return readOnly{s, dir}
}

func (r readOnly) open() {
	r.s.t.Helper()
	must(r.s.t, "unlock "+r.dir, unix.Unmount(r.dir, 0))
}
