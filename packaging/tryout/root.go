package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// asRoot starts the program again as root. It returns only when it can't.
func asRoot(args []string, stderr io.Writer) int {
	const why = "practice: error: root is needed for a loop device and mounts of its own (nothing of the machine is touched)"
	sudo, err := exec.LookPath("sudo")
	if err != nil {
		fmt.Fprintln(stderr, why)
		fmt.Fprintln(stderr, "practice: hint: run \"make run\" as root; there is no sudo here")
		return exitFailed
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(stderr, "practice: error:", err)
		return exitFailed
	}
	described, err := arguments()
	if err != nil {
		fmt.Fprintln(stderr, "practice: error:", err)
		return exitFailed
	}
	fmt.Fprintln(stderr, "practice: asking sudo for root, for a loop device and mounts of its own; nothing of the machine is touched")
	command := append(append([]string{"sudo", "--", self}, described...), args...)
	fmt.Fprintln(stderr, "practice: error: cannot start sudo:", unix.Exec(sudo, command, os.Environ()))
	return exitFailed
}
