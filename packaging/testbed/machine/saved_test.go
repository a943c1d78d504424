package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// textMode boots without the desktop, which most tests have no use for.
const textMode = "systemd.unit=multi-user.target"

// A saved machine is kept as it was in the middle of its work: its disk, and its memory.
// Any number of machines can go on from there, each as if it had come so far by itself.
//
// Its kernel is the packed one, as tests send such a machine to sleep. Waking is a reset,
// and in each QEMU writes an unpacked kernel to memory once more, as it was before it ran
// (rom_reset in hw/core/loader.c).
type saved struct {
	base base
	dir  string
}

func (s saved) disk() disk     { return disk{filepath.Join(s.dir, "disk.qcow2"), "qcow2"} }
func (s saved) memory() string { return filepath.Join(s.dir, "memory") }

// bootedOf returns a machine with a Debian suite when its boot was over; it makes what is
// missing.
func bootedOf(suite string) (saved, error) {
	b, err := baseOf(suite)
	if err != nil {
		return saved{}, err
	}
	// It goes on in the same machine only: this very disk, these devices, this QEMU.
	key, err := os.ReadFile(b.key())
	if err != nil {
		return saved{}, err
	}
	qemuVersion, err := exec.Command(qemu, "--version").Output()
	if err != nil {
		return saved{}, fmt.Errorf("cannot ask QEMU for its version: %w", err)
	}
	arguments := strings.Join((&vm{base: b}).arguments(b.packedKernel(), []string{textMode}), " ")
	made, err := once("booted-"+suite, cacheTime, hash(string(key), string(qemuVersion), arguments, rest, manner), func(dir string) error {
		return saveMachine(b, b.disk(), dir, func(v *vm) error {
			if err := v.startQEMU(b.packedKernel(), []string{textMode}); err != nil {
				return err
			}
			return v.waitForLogin()
		})
	})
	if err != nil {
		return saved{}, fmt.Errorf("cannot boot %s: %w", suite, err)
	}
	return saved{b, made}, nil
}

// installedOf returns that machine when the package was installed.
func installedOf(suite string, pkg []byte) (saved, error) {
	booted, err := bootedOf(suite)
	if err != nil {
		return saved{}, err
	}
	// The next package is another one.
	made, err := once("installed-"+suite, time.Hour, hash(booted.dir, string(pkg)), func(dir string) error {
		return saveMachine(booted.base, booted.disk(), dir, func(v *vm) error {
			if err := v.goOn(booted); err != nil {
				return err
			}
			return v.install(pkg)
		})
	})
	if err != nil {
		return saved{}, fmt.Errorf("cannot install the package on %s: %w", suite, err)
	}
	return saved{booted.base, made}, nil
}

// manner is different for machines that were saved in another way, and can't go on in this one.
const manner = "standing still"

// rest waits in the guest until the last user has logged out, and says so.
const rest = `systemctl is-system-running --wait >/dev/null
while test -n "$(loginctl list-sessions --no-legend)"; do sleep 0.2; done
sync
echo at rest >/dev/ttyS1`

// saveMachine leaves in dir a machine that has come so far.
func saveMachine(b base, below disk, dir string, comeSoFar func(*vm) error) error {
	// A short path: the name of a socket has at most 107 bytes.
	short, err := os.MkdirTemp("", "machine")
	if err != nil {
		return err
	}
	defer os.RemoveAll(short)
	v, err := newVM(b, below, short)
	if err != nil {
		return err
	}
	defer v.cutPower()
	if err := comeSoFar(v); err != nil {
		return err
	}
	if _, err := v.as(root).run("systemd-run --quiet --collect bash -c '" + rest + "'"); err != nil {
		return err
	}
	if err := v.as(root).logOut(); err != nil {
		return err
	}
	err = waitFor("the guest to come to rest", bootTime, func() error {
		notes, err := os.ReadFile(v.notesFile())
		if err == nil && !strings.Contains(string(notes), "at rest") {
			err = fmt.Errorf("it said %q", notes)
		}
		return err
	})
	if err != nil {
		return err
	}
	machine := saved{b, dir}
	if err := v.screen.save(machine.memory()); err != nil {
		return err
	}
	v.cutPower()
	return exec.Command("cp", "--sparse=always", v.disk(), machine.disk().file).Run()
}

// goOn switches a machine with the disk of a saved one on, in the middle of its work.
func (v *vm) goOn(from saved) error {
	if err := v.startQEMU(from.base.packedKernel(), []string{textMode}, "-incoming", "exec:cat "+from.memory()); err != nil {
		return err
	}
	if err := v.screen.goOn(); err != nil {
		return err
	}
	if err := v.waitForLogin(); err != nil {
		return err
	}
	// Its clock went on from when it was saved.
	_, err := v.as(root).run(fmt.Sprintf("date --set=@%d", time.Now().Unix()))
	return err
}
