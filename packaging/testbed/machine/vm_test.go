package machine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A vm is a virtual machine with a disk of its own on top of another. It can be
// switched on and off as often as a test wants; the disk stays.
type vm struct {
	base base
	dir  string // disk, serial console, sockets
	port int    // ssh, on 127.0.0.1
	bare bool   // without screen, network and input: only what a boot itself needs

	process *exec.Cmd
	ended   chan struct{} // closed when QEMU is gone
	screen  *monitor
}

// newVM returns a machine that is off. Its disk begins as the one below is.
func newVM(b base, below disk, dir string) (*vm, error) {
	v := &vm{base: b, dir: dir}
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", below.format, "-b", below.file, v.disk()).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("cannot make a disk: %w: %s", err, out)
	}
	return v, nil
}

func (v *vm) disk() string { return filepath.Join(v.dir, "disk.qcow2") }

// consoleFile has what the kernel, the initramfs and systemd said, of every boot.
func (v *vm) consoleFile() string { return filepath.Join(v.dir, "console.log") }

// notesFile has what a test's own scripts in the guest wrote to its second serial port.
func (v *vm) notesFile() string { return filepath.Join(v.dir, "notes.log") }

func (v *vm) monitorSocket() string { return filepath.Join(v.dir, "monitor") }

// qemu is the program that interprets the machine.
const qemu = "qemu-system-x86_64"

// How long things take with QEMU's own interpreter on two busy cores: half a minute to
// the first login by ssh, a minute to the desktop, when nothing else is running.
const (
	bootTime    = 5 * time.Minute
	desktopTime = 5 * time.Minute
	offTime     = 3 * time.Minute
)

// quicker leaves out what takes an interpreted processor a third of the boot, and what
// no test depends on: guards against flaws of real processors, BPF programs for
// restrictions that no unit of the guest has, serial ports that it has not got, parts
// of the kernel that try themselves out when they begin. And what is at the same address
// in every process is translated once.
//
// On a busy host the kernel takes a timer that is late for a broken one, and panics,
// unless it is told not to look (no_timer_check). A panic ends the machine at once.
const quicker = "no_timer_check panic=-1" +
	" mitigations=off lsm=capability 8250.nr_uarts=2 norandmaps nokaslr init_on_alloc=0 cryptomgr.notests" +
	" initcall_blacklist=init_encrypted,crypto_kdf108_init,jent_mod_init,bpf_tcp_ca_kfunc_init,bpf_dummy_struct_ops_init"

// start switches the machine on, with the given words at the end of the kernel's
// command line. It does not wait for anything.
func (v *vm) start(words ...string) error {
	return v.startQEMU(v.base.kernel(), words)
}

// arguments are QEMU's, for a boot of this kernel with these words at the end of its
// command line.
func (v *vm) arguments(kernel string, words []string) []string {
	memory := "1280" // MB
	if v.bare {
		memory = "512"
	}
	commandLine := append([]string{"root=/dev/vda", "rootflags=subvol=/ROOTVOL", "console=ttyS0", "loglevel=4", quicker}, words...)
	arguments := []string{
		// No device too many: each keeps udev busy for a while, twice in every boot. And an
		// old processor: what newer ones do in one instruction takes an interpreter many. And
		// only one: with two, now and then one runs into code that the kernel is changing on
		// the other ("Oops: int3" early in the boot, QEMU 7.2).
		"-nodefaults", "-no-user-config", "-machine", "q35,sata=off,smbus=off,i8042=off", "-accel", "tcg,thread=multi", "-cpu", "Nehalem,+rdrand",
		"-smp", "1", "-m", memory, "-display", "none", "-no-reboot",
		"-kernel", kernel, "-initrd", v.base.initrd(), "-append", strings.Join(commandLine, " "),
		// What the guest has flushed is in the host's cache, and survives QEMU's end.
		"-drive", "if=none,id=disk,format=qcow2,cache=writeback,file=" + v.disk(),
		"-device", "virtio-blk-pci,drive=disk",
		"-chardev", "file,id=console,append=on,path=" + v.consoleFile(), "-serial", "chardev:console",
		"-chardev", "file,id=notes,append=on,path=" + v.notesFile(), "-serial", "chardev:notes",
		"-qmp", "unix:" + v.monitorSocket() + ",server=on,wait=off",
	}
	if !v.bare {
		arguments = append(arguments,
			// restrict: the guest reaches nothing, not even this machine.
			"-netdev", fmt.Sprintf("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:%d-10.0.2.15:22", v.port),
			"-device", "virtio-net-pci,netdev=net,romfile=",
			"-device", "virtio-rng-pci", "-device", "VGA,xres=1024,yres=768,edid=on",
			"-device", "virtio-tablet-pci", "-device", "virtio-keyboard-pci")
	}
	return arguments
}

// startQEMU starts it for a boot of this kernel with these words, or, with more
// arguments, for something else.
func (v *vm) startQEMU(kernel string, words []string, more ...string) (err error) {
	if v.port, err = freePort(); err != nil {
		return err
	}
	if err := os.Remove(v.monitorSocket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	v.process = exec.Command(qemu, append(v.arguments(kernel, words), more...)...)
	log, err := os.OpenFile(filepath.Join(v.dir, "qemu.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	v.process.Stdout, v.process.Stderr = log, log
	// No Ctrl-C in the middle of a write; and no machine that outlives its test.
	v.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	if err := v.process.Start(); err != nil {
		return fmt.Errorf("cannot start QEMU: %w", err)
	}
	v.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		process.Wait()
		close(ended)
	}(v.process, v.ended)
	return waitFor("QEMU's monitor", time.Minute, func() error {
		if !v.isOn() {
			out, _ := os.ReadFile(filepath.Join(v.dir, "qemu.log"))
			return final{fmt.Errorf("QEMU ended: %s", out)}
		}
		v.screen, err = connectMonitor(v.monitorSocket())
		return err
	})
}

func (v *vm) isOn() bool {
	if v.process == nil {
		return false
	}
	select {
	case <-v.ended:
		return false
	default:
		return true
	}
}

// waitForLogin waits until root can log in.
func (v *vm) waitForLogin() error {
	return waitFor("a login by ssh", bootTime, func() error {
		if !v.isOn() {
			return final{errors.New("the machine went off")}
		}
		_, err := v.as("root").run("true")
		return err
	})
}

// shutDown has the guest switch itself off, as its user would.
func (v *vm) shutDown() error {
	// The connection may be gone before there is an answer.
	_, _ = v.as("root").run("systemctl poweroff")
	select {
	case <-v.ended:
		return nil
	case <-time.After(offTime):
		return fmt.Errorf("cannot shut the machine down: it is still on after %v", offTime)
	}
}

// cutPower is what its name says.
func (v *vm) cutPower() {
	if !v.isOn() {
		return
	}
	_ = unix.Kill(v.process.Process.Pid, unix.SIGKILL)
	<-v.ended
}

// freePort returns a TCP port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// final is an error that waiting does not mend.
type final struct{ error }

// waitFor tries every second until there is no error.
func waitFor(what string, timeout time.Duration, try func() error) error {
	return waitTrying(time.Second, what, timeout, try)
}

// waitTrying is waitFor with another pause between two tries: a short one where a try
// costs nothing, a long one where the guest has to work for it, and time goes by anyway.
func waitTrying(pause time.Duration, what string, timeout time.Duration, try func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := try()
		var f final
		switch {
		case err == nil:
			return nil
		case errors.As(err, &f):
			return fmt.Errorf("cannot wait for %s: %w", what, f.error)
		case time.Now().After(deadline):
			return fmt.Errorf("cannot wait for %s any longer than %v: %w", what, timeout, err)
		}
		time.Sleep(pause)
	}
}
