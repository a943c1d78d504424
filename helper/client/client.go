// Package client asks root's helper on behalf of a person, through pkexec, and says in plain words
// why it did not do what was asked.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A Client asks root's helper. The zero value asks the installed helper through
// pkexec.
type Client struct {
	Pkexec string // "" is pkexec from PATH
	Helper string // "" is helper.HelperPath
	// Direct runs the helper itself, for a caller that is root already.
	Direct bool
	// Config is a configuration file instead of the installed one. Direct only: the
	// helper takes no path from a user.
	Config string
	// ToTheEnd has Do wait for a helper that has begun even when ctx has ended.
	ToTheEnd bool

	timeout time.Duration // 0 is helper.ClientTimeout; shorter in tests
}

// promptAtLeast is less than the time in which a person reads a dialog and closes it.
const promptAtLeast = 500 * time.Millisecond

// Do sends one request and waits for the answer. ID, UID and User of the request are
// the helper's to fill in. The error is nil exactly if the outcome is helper.Done. Else it is
//   - a *helper.ResultError when the helper answered; the helper.Result is returned as well,
//   - ErrCancelled when the password prompt was dismissed,
//   - an *AuthorizationError when the helper was never started,
//   - an error that wraps ErrNoResult when it was, but did not answer.
//
// When ctx ends before the helper has begun, the request is withdrawn. A helper that has begun is
// never stopped: Do only stops waiting, unless ToTheEnd is set.
func (c *Client) Do(ctx context.Context, r helper.Request) (*helper.Result, error) {
	cmd, err := c.command(r)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	child, err := start(cmd)
	if err != nil {
		return nil, c.startError(err)
	}
	if err := c.wait(ctx, child); err != nil {
		return nil, err
	}
	tooSoon := time.Since(started) < promptAtLeast
	code, words := child.end()
	return c.judge(r.Verb, child.out, code, words, tooSoon)
}

// command builds the command line. The child must be able to finish after we have ended.
func (c *Client) command(r helper.Request) (*exec.Cmd, error) {
	program := c.Helper
	if program == "" {
		program = helper.HelperPath
	}
	args := helper.CommandLine{Request: r, Config: c.Config}.Arguments()
	if c.Direct {
		cmd := exec.Command(program, args...)
		cmd.Env = []string{}
		return cmd, nil
	}
	if c.Config != "" {
		return nil, errors.New("cannot choose a configuration: only root may")
	}
	pkexec := c.Pkexec
	if pkexec == "" {
		pkexec = "pkexec"
	}
	// pkexec's own agent asks on the terminal, and fails there in polkit 122 and 127
	// (polkit-org/polkit #17, #686).
	cmd := exec.Command(pkexec, append([]string{"--disable-internal-agent", program}, args...)...)
	cmd.Env = cleanEnvironment(os.Environ())
	return cmd, nil
}

// cleanEnvironment returns the environment for pkexec, which refuses a SHELL that is not in
// /etc/shells (fish, nix) and locale variables with / % or .. in them. Its messages have to be
// English. Only the variables that find programs and the session are passed on.
func cleanEnvironment(environ []string) []string {
	env := []string{"SHELL=/bin/sh", "LC_ALL=C.UTF-8"}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "DISPLAY":
			// One of those that pkexec checks. It could hold a path (XQuartz does).
			if strings.ContainsAny(value, "/%") || strings.Contains(value, "..") {
				continue
			}
		case "PATH", "HOME", "USER", "XAUTHORITY", "WAYLAND_DISPLAY",
			"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS":
		default:
			continue
		}
		env = append(env, variable)
	}
	return env
}

func (c *Client) startError(err error) error {
	switch {
	case c.Direct:
		return HelperError(err)
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound):
		return &AuthorizationError{Kind: PkexecMissing}
	}
	return fmt.Errorf("cannot start pkexec: %w", startCause(err))
}

// HelperError says why root could not start the helper.
func HelperError(err error) *AuthorizationError {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return &AuthorizationError{Kind: HelperMissing}
	}
	return &AuthorizationError{Kind: HelperUnusable, Detail: firstLine(startCause(err).Error())}
}

// startCause returns err without the name of the system call, "fork/exec".
func startCause(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// wait returns nil when the child has answered or ended, else why it stopped waiting.
func (c *Client) wait(ctx context.Context, child *child) error {
	begun, asked := child.out.begun, ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case <-child.silent:
			if child.out.isComplete() {
				return nil
			}
			child.silent = nil
		case <-child.ended:
			return nil
		case <-begun:
			begun = nil
			timeout := c.timeout
			if timeout == 0 {
				// Before the handshake there is none: a password prompt behind a locked screen
				// may wait for hours.
				timeout = helper.ClientTimeout
			}
			timer := time.NewTimer(timeout)
			defer timer.Stop()
			late = timer.C
		case <-late:
			return fmt.Errorf("cannot wait for the helper any longer: %w", ErrNoResult)
		case <-asked:
			if c.ToTheEnd && child.out.hasBegun() {
				asked = nil
				continue
			}
			if child.out.hasBegun() {
				return fmt.Errorf("cannot wait for the helper any longer: %w: %w", ErrNoResult, context.Cause(ctx))
			}
			if !c.Direct {
				// Until the password is given the user can end pkexec, and its dialog with it.
				// Afterwards pkexec is root's, and this fails.
				_ = child.cmd.Process.Signal(unix.SIGTERM)
			}
			return fmt.Errorf("cannot get authorization: %w", context.Cause(ctx))
		}
	}
}

// judge turns what the child left behind into an answer. Once the handshake is
// there, only the structured result counts, not the exit code.
func (c *Client) judge(verb helper.Verb, out *answer, exitCode int, stderr string, tooSoon bool) (*helper.Result, error) {
	greeting, last := out.lines()
	switch {
	case greeting == helper.Handshake:
	case strings.HasPrefix(greeting, handshakeName):
		return nil, &AuthorizationError{Kind: OtherVersion, Detail: firstLine(greeting)}
	case c.Direct:
		return nil, &AuthorizationError{Kind: OtherVersion, Detail: firstLine(stderr)}
	case exitCode == 0:
		return nil, &AuthorizationError{Detail: "it started something that is not Immutray's helper"}
	default:
		return nil, pkexecError(exitCode, stderr, tooSoon)
	}
	var r helper.Result
	if err := json.Unmarshal([]byte(last), &r); err != nil || r.Request.Verb != verb || r.Outcome == "" {
		if detail := firstLine(stderr); detail != "" {
			return nil, fmt.Errorf("cannot %s: %w (%s)", verb, ErrNoResult, detail)
		}
		return nil, fmt.Errorf("cannot %s: %w", verb, ErrNoResult)
	}
	return &r, r.Err()
}
