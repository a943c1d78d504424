package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A person is a user of the guest, logged in by ssh.
type person struct {
	vm   *vm
	name string
}

func (v *vm) as(name string) person { return person{v, name} }

// commandTime bounds one command in the guest.
const commandTime = 2 * time.Minute

// failed is the error of a command in the guest that ran and did not end with 0.
type failed struct {
	command string
	code    int
	output  string
}

func (f *failed) Error() string {
	return fmt.Sprintf("%q ended with %d: %s", f.command, f.code, strings.TrimSpace(f.output))
}

// codeOf is the exit code of a command in the guest, -1 when it could not be run.
func codeOf(err error) int {
	var f *failed
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.code
	}
	return -1
}

// run has a shell run the command, and returns what it wrote to both outputs.
func (p person) run(command string) (string, error) { return p.runWith(nil, command) }

func (p person) runWith(input io.Reader, command string) (string, error) {
	return p.runFor(commandTime, input, command)
}

// runFor is runWith with another bound.
func (p person) runFor(atMost time.Duration, input io.Reader, command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	cmd := p.ssh(ctx, host, command)
	// The connection that is kept has our pipes as well, and in a guest that sleeps the
	// command does not end.
	cmd.WaitDelay = time.Second
	cmd.Stdin = input
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), outcomeOf(command, out.String(), err)
}

// onTerminal is run on a terminal. Who asks for a password there gets this one. Lines that were
// wrapped at the terminal's width are one again.
func (p person) onTerminal(command, password string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := p.ssh(ctx, "-tt", host, "export NO_COLOR=1; tty >$XDG_RUNTIME_DIR/terminal; "+command)
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	screen, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var out strings.Builder
	buffer := make([]byte, 1024)
	for err == nil {
		var n int
		n, err = screen.Read(buffer)
		out.Write(buffer[:n])
		if password != "" && strings.Contains(out.String(), "assword: ") {
			if _, err = p.run(untilNoEcho); err == nil {
				_, err = io.WriteString(keyboard, password+"\n")
			}
			password = ""
		}
	}
	if err != io.EOF {
		cancel()
		_ = cmd.Wait() // it was killed just now
		return out.String(), err
	}
	said := strings.Join(strings.Fields(out.String()), " ")
	return said, outcomeOf(command, said, cmd.Wait())
}

// untilNoEcho waits for who asks for a password to read it. What is typed before that is
// thrown away (TCSAFLUSH in termios(3)).
const untilNoEcho = `timeout 60 sh -c 'until stty -a -F $(cat $XDG_RUNTIME_DIR/terminal) | grep --quiet " -echo "; do sleep 0.2; done'`

// outcomeOf returns the error of a command that ended so.
func outcomeOf(command, out string, err error) error {
	var exit *exec.ExitError
	const sshItself = 255
	if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() != sshItself {
		return &failed{command, exit.ExitCode(), out}
	}
	if err != nil {
		return fmt.Errorf("cannot run %q in the guest: %w: %s", command, err, strings.TrimSpace(out))
	}
	return nil
}

// logOut ends the connection that is kept for the next command.
func (p person) logOut() error {
	out, err := p.ssh(context.Background(), "-O", "exit", host).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot log out: %w: %s", err, out)
	}
	return nil
}

// host is where the guest's port for ssh is.
const host = "127.0.0.1"

// ssh returns the client as this person, with the rest of its arguments.
func (p person) ssh(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", append([]string{
		"-F", "none", "-i", p.vm.base.key(), "-p", strconv.Itoa(p.vm.port), "-l", p.name,
		// One connection a boot: each takes the slow machine seconds of arithmetic.
		"-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-o", "ControlPath=" + p.vm.dir + "/ssh-%r-%p",
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR",
		// The host key is the image's; who answers on this port is our own child.
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
	}, arguments...)...)
}
