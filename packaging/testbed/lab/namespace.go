// Package lab builds what tests and the practice system run in: private mount, PID
// and network namespaces, and in them a loop-mounted btrfs with the subvolumes of the
// classic layout. Nothing outside those namespaces and that image is touched.
//
// It needs root, mkfs.btrfs, btrfs, mount and loop devices.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// stageVariable says how far into the namespaces a re-executed program is.
const stageVariable = "IMMUTRAY_LAB_STAGE"

// Base is where the lab is built: in the private namespace a tmpfs owned by root
// is mounted over it, so that no directory above a protected path or a
// configuration is writable by others.
const Base = "/mnt"

// Inside reports whether the program already runs in the lab's namespaces.
func Inside() bool { return os.Getenv(stageVariable) == "inside" }

// Enter runs the program again, with the same arguments, in namespaces of its own.
// In the first process it returns the exit code to end with and false. In the
// innermost one it returns true, and the program goes on.
//
// The network is left out not for its ports but for its abstract sockets, which no
// mount namespace separates: a program that looks for the X server :0 would find
// the machine's before the one in the lab.
//
// Between the two is an init, PID 1 of the namespace, which reaps orphans. When it ends, the
// kernel kills every process in the namespace, and with the last of them mounts and loop
// devices are gone.
func Enter() (exitCode int, inside bool) {
	switch os.Getenv(stageVariable) {
	case "inside":
		return 0, true
	case "init":
		return initMain(), false
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot enter namespaces: %v\n", err)
		return 1, false
	}
	// By its name: /proc/self/exe is on a mount of the old namespace, and in a chroot the
	// program could not find out its own path.
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVariable+"=init")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// No lab outlives this process, not even if that is killed. What counts for the kernel is
	// the thread that started the child (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
	}
	// The terminal sends its Ctrl-C to the whole group; the child decides.
	signal.Ignore(unix.SIGINT)
	err = cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintf(os.Stderr, "cannot enter namespaces: %v\n", err)
		return 1, false
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, false
	}
	return 1, false
}

// initMain is PID 1 of the namespace: it makes the mounts private, starts the
// program once more, and reaps until that child ends.
func initMain() int {
	if err := isolate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot start %s in its namespaces: %v\n", os.Args[0], err)
		return 1
	}
	os.Setenv(stageVariable, "inside")
	child, err := syscall.ForkExec(self, os.Args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot start %s in its namespaces: %v\n", os.Args[0], err)
		return 1
	}
	forwardTermination(child)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 1
		case pid != child:
		case status.Exited():
			return status.ExitStatus()
		case status.Signaled():
			return 128 + int(status.Signal())
		}
	}
}

// forwardTermination passes SIGTERM and the like on to the child, which knows how to clean
// up. From outside they go to PID 1.
func forwardTermination(child int) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP)
	signal.Ignore(unix.SIGINT)
	go func() {
		for s := range signals {
			unix.Kill(child, s.(syscall.Signal))
		}
	}()
}

// isolate makes all mounts private and mounts what the namespace must have of its own.
func isolate() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("refusing to change mounts: not PID 1 of a namespace of its own")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	if err := unix.Mount("lab", Base, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
		return fmt.Errorf("cannot mount a tmpfs on %s: %w", Base, err)
	}
	return hideMachine()
}

// hideMachine puts the machine's systemd, journal, system bus and package manager out of
// reach: a helper under test must not ask that systemd for a lock, write into that journal or
// wait for an apt that runs on the machine.
func hideMachine() error {
	for _, dir := range []string{"/run/systemd", "/run/dbus", "/var/lib/dpkg"} {
		err := unix.Mount("lab", dir, "tmpfs", unix.MS_NOSUID, "mode=0755")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot hide %s: %w", dir, err)
		}
	}
	return nil
}
