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

// A booted machine is kept as it was when its boot was over: its disk, and its memory.
// Any number of machines can go on from there, each as if it had been booted by itself.
type booted struct {
	base base
	dir  string
}

func (b booted) disk() disk     { return disk{filepath.Join(b.dir, "disk.qcow2"), "qcow2"} }
func (b booted) memory() string { return filepath.Join(b.dir, "memory") }

// bootedOf returns the booted machine of a Debian suite; it makes what is missing.
func bootedOf(suite string) (booted, error) {
	lock, err := lockCache()
	if err != nil {
		return booted{}, err
	}
	defer lock.Close()
	b, err := baseOf(suite)
	if err != nil {
		return booted{}, err
	}
	// It goes on in the same machine only: this very disk, these devices, this QEMU.
	key, err := os.ReadFile(b.key())
	if err != nil {
		return booted{}, err
	}
	qemuVersion, err := exec.Command(qemu, "--version").Output()
	if err != nil {
		return booted{}, fmt.Errorf("cannot ask QEMU for its version: %w", err)
	}
	arguments := strings.Join((&vm{base: b}).arguments([]string{textMode}), " ")
	made, err := once("booted-"+suite, hash(string(key), string(qemuVersion), arguments, rest), func(dir string) error {
		return bootAndSave(b, dir)
	})
	if err != nil {
		return booted{}, fmt.Errorf("cannot boot %s: %w", suite, err)
	}
	return booted{b, made}, nil
}

// rest waits in the guest until nobody is logged in any longer, and says so.
const rest = `systemctl is-system-running --wait >/dev/null
while test -n "$(loginctl list-sessions --no-legend)"; do sleep 0.2; done
sync
echo at rest >/dev/ttyS1`

// bootAndSave leaves a booted machine in dir.
func bootAndSave(b base, dir string) error {
	// A short path: the name of a socket has at most 107 bytes.
	short, err := os.MkdirTemp("", "machine")
	if err != nil {
		return err
	}
	defer os.RemoveAll(short)
	v, err := newVM(b, b.disk(), short)
	if err != nil {
		return err
	}
	defer v.cutPower()
	if err := v.boot(textMode); err != nil {
		return err
	}
	if _, err := v.as("root").run("systemd-run --quiet --collect bash -c '" + rest + "'"); err != nil {
		return err
	}
	if err := v.as("root").logOut(); err != nil {
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
	saved := booted{b, dir}
	if err := v.screen.save(saved.memory()); err != nil {
		return err
	}
	v.cutPower()
	return exec.Command("cp", "--sparse=always", v.disk(), saved.disk().file).Run()
}

// goOn switches a machine with the disk of a booted one on, in the middle of its work.
func (v *vm) goOn(saved booted) error {
	if err := v.startQEMU([]string{textMode}, "-incoming", "exec:cat "+saved.memory()); err != nil {
		return err
	}
	if err := v.waitForLogin(); err != nil {
		return err
	}
	// Its clock went on from when it was saved.
	_, err := v.as("root").run(fmt.Sprintf("date --set=@%d", time.Now().Unix()))
	return err
}
