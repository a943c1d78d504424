package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// pictures is where the tests leave what was on the screen.
const pictures = "../../../build/machine"

// newMachine returns a machine with a Debian suite that has just been booted, without
// the desktop, and has nothing installed yet.
func newMachine(t *testing.T, suite string) *vm {
	t.Helper()
	requirePrograms(t)
	from, err := bootedOf(suite)
	check(t, err)
	return goOnFrom(t, from)
}

// newInstalled returns one on which the package has been installed.
func newInstalled(t *testing.T, suite string) *vm {
	t.Helper()
	requirePrograms(t)
	pkg, err := debianPackage()
	check(t, err)
	from, err := installedOf(suite, pkg)
	check(t, err)
	return goOnFrom(t, from)
}

func requirePrograms(t *testing.T) {
	t.Helper()
	lab.Require(t,
		"mmdebstrap:mmdebstrap", "qemu-system-x86_64:qemu-system-x86", "qemu-img:qemu-utils",
		"mkfs.btrfs:btrfs-progs", "btrfs:btrfs-progs", "ssh:openssh-client", "ssh-keygen:openssh-client",
		"unshare:util-linux", "blkid:util-linux", "tar:tar")
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to make the disk of a virtual machine")
	}
}

func goOnFrom(t *testing.T, from saved) *vm {
	t.Helper()
	// A short path: the name of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "machine")
	check(t, err)
	v, err := newVM(from.base, from.disk(), dir)
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			keepEvidence(t, v)
		}
		v.cutPower()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	check(t, v.goOn(from))
	return v
}

// debianPackage is what the makefile has built for all the tests that it starts at once
// (IMMUTRAY_PACKAGES says where), or else built here.
var debianPackage = sync.OnceValues(func() ([]byte, error) {
	packages := os.Getenv("IMMUTRAY_PACKAGES")
	if packages == "" {
		packages = filepath.Join(pictures, "packages")
		if out, err := exec.Command("make", "--no-print-directory", "-C", "../../..", "machine-package").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot build the package: %w: %s", err, out)
		}
	}
	found, err := filepath.Glob(filepath.Join(packages, "immutray_*_amd64.deb"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("in %s there are %q, want one package", packages, found)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(found[0])
})

func install(t *testing.T, v *vm) {
	t.Helper()
	pkg, err := debianPackage()
	check(t, err)
	check(t, v.install(pkg))
}

// keepEvidence leaves what a person needs to see why a test failed.
func keepEvidence(t *testing.T, v *vm) {
	dir := filepath.Join(pictures, "failed", t.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Log(err)
		return
	}
	t.Logf("see %s", dir)
	if console, err := os.ReadFile(v.consoleFile()); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "console.log"), console, 0o644)
		if strings.Contains(string(console), "Kernel panic") {
			// After a page fault QEMU 7.2 may leave wrong flags, which newer versions have a
			// test for (tests/tcg/i386/test-flags.c). Seen once: EFLAGS was half a pointer.
			t.Log("The kernel of the guest has panicked. Where the flags in console.log make no sense, QEMU's interpreter may be why, and not what is tested.")
		}
	}
	if !v.isOn() {
		return
	}
	if v.screen != nil {
		takePicture(t, v, filepath.Join("failed", t.Name(), "screen"))
	}
	if journal, err := v.as(root).run("journalctl --boot --no-pager --lines 400"); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "journal.txt"), []byte(journal), 0o644)
	}
}

// takePicture keeps what is on the screen for a person to look at.
func takePicture(t *testing.T, v *vm, name string) {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(pictures, name+".png"))
	check(t, err)
	check(t, os.MkdirAll(filepath.Dir(file), 0o755))
	if err := v.screen.screendump(file, "png"); err != nil {
		t.Errorf("cannot take a picture: %v", err)
	}
}

// suites are the Debian suites to test on: SUITES="bookworm trixie sid".
func suites() []string {
	if named := strings.Fields(os.Getenv("SUITES")); len(named) > 0 {
		return named
	}
	return []string{everything}
}

// onEverySuite runs a test on each suite, at the same time.
func onEverySuite(t *testing.T, test func(t *testing.T, suite string)) {
	t.Parallel()
	for _, suite := range suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			test(t, suite)
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must runs a command in the guest that has to work.
func must(t *testing.T, p person, command string) string {
	t.Helper()
	out, err := p.run(command)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return out
}
