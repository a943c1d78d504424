package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/config"
	"immutray.org/helper/history"
	"immutray.org/helper/inforce"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/protected"
	"immutray.org/helper/statefile"
	"immutray.org/helper/text"
	"immutray.org/helper/writers"
)

// A stateReader reads the state of the system, once or whenever it changes.
type stateReader interface {
	Read() helper.Status
	Watch(ctx context.Context, changed func(helper.Status)) error
}

// A writerScanner finds what has something on the protected paths open for writing.
type writerScanner interface {
	Scan(ctx context.Context, protected []string) ([]helper.Writer, error)
}

// A requester asks root's helper for something.
type requester interface {
	Do(ctx context.Context, r helper.Request) (*helper.Result, error)
}

// A historyReader reads the windows of the past.
type historyReader interface {
	Read(ctx context.Context, most int, now helper.Status) (history.Past, error)
}

// An app is immutectl with everything it touches outside of itself.
type app struct {
	stdout, stderr io.Writer
	color          palette    // for stdout
	clock          text.Clock // of the person's locale
	errorColor     palette    // for stderr
	errorWidth     func() int // of the terminal that stderr is; 0 when it is none

	root       bool // runs as root
	now        func() time.Time
	loadConfig func(file string) (config.Config, error) // file "" is the usual one
	state      func(config.Config) stateReader
	lastSeal   func(config.Config) *statefile.Seal // nil when there was none in this boot
	writers    writerScanner
	history    func(configFile, stateDir string) historyReader
	requester  func() requester // once the flags are known
	// waitUnread returns when stdout has no reader any more, or ctx ends.
	waitUnread func(ctx context.Context)

	configFile, helperFile string        // flags
	wait                   time.Duration // flag of lock
}

// newApp returns the app on the real system.
func newApp(stdout, stderr *os.File) *app {
	a := &app{
		stdout:     stdout,
		stderr:     stderr,
		color:      paletteFor(stdout, os.Getenv),
		clock:      text.ClockFor(os.Getenv),
		errorColor: paletteFor(stderr, os.Getenv),
		errorWidth: func() int { return terminalWidth(stderr, os.Getenv) },
		root:       os.Geteuid() == 0,
		now:        time.Now,
		loadConfig: inforce.Named,
		state:      func(c config.Config) stateReader { return lockstate.For(c) },
		lastSeal:   lastSeal,
		writers:    &writers.Scanner{Proc: "/proc", Sys: "/sys", Hidden: protected.HiddenAt},
		history: func(configFile, stateDir string) historyReader {
			return &history.Reader{Config: configFile, StateDir: stateDir}
		},
		waitUnread: func(ctx context.Context) { waitUnread(ctx, stdout) },
	}
	a.requester = func() requester {
		return &client.Client{Config: a.configFile, Helper: a.helperFile, Direct: a.root, ToTheEnd: a.wait != 0}
	}
	return a
}

// interruptible returns a context that Ctrl-C and SIGTERM end; a second Ctrl-C ends
// the program. Only what takes long needs it: catching signals costs a thread, and
// half a millisecond of the two that a status takes.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return a.report(root.ExecuteContext(ctx))
}

// A failure is an error of a command with the exit code that goes with it. Every
// other error that comes out of cobra is a mistake in the command line.
type failure struct {
	code   int
	err    error  // nil when everything has been said
	detail string // lines below the error
	hints  []string
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// report prints the error to stderr and returns the exit code.
func (a *app) report(err error) int {
	var f *failure
	switch {
	case err == nil:
		return helper.ExitDone
	case !errors.As(err, &f):
		f = usageFailure("immutectl", err)
	}
	if f.err != errUnread {
		a.printError(f)
	}
	return f.code
}

// config loads the configuration that --config names, or else the one in force.
func (a *app) config() (config.Config, error) {
	c, err := a.loadConfig(a.configFile)
	if err != nil {
		return c, a.failed(helper.ExitConfigRefused, err)
	}
	return c, nil
}

// usedConfig is config for a command whose output does not mention a refused file.
func (a *app) usedConfig() (config.Config, error) {
	c, err := a.config()
	if err == nil && c.Refused != nil {
		a.printNotice(config.Refusal(c.Refused) + helper.UsedInstead)
	}
	return c, err
}

// acceptedConfig is config for a command that makes something writable: it needs a file
// that was accepted, before a person is asked for a password. A file that only root may
// read is left to root's helper to check.
func (a *app) acceptedConfig(ignore bool) (config.Config, error) {
	c, err := a.config()
	if err == nil && c.Refused != nil && !ignore && (a.root || !errors.Is(c.Refused, fs.ErrPermission)) {
		return c, a.failed(helper.ExitConfigRefused, c.Refused)
	}
	return c, err
}

// failed returns the failure for err, with the hint that the tray shows as well.
func (a *app) failed(code int, err error) *failure {
	f := &failure{code: code, err: err}
	hint := client.Hint(err)
	if code == helper.ExitConfigRefused && a.configFile != "" {
		hint = "Correct that file, or leave out --config." // the usual hint is about the usual file
	}
	if hint != "" {
		f.hints = []string{hint}
	}
	return f
}

// errUnread is a closed output: its reader wants no more. It is not printed.
var errUnread = errors.New("the output was closed")

// print writes to stdout.
func (a *app) print(text string) error {
	_, err := io.WriteString(a.stdout, text)
	switch {
	case errors.Is(err, unix.EPIPE):
		return &failure{code: helper.ExitDone, err: errUnread}
	case err != nil:
		return &failure{code: helper.ExitFailed, err: fmt.Errorf("cannot write the output: %w", err)}
	}
	return nil
}

// printJSON writes v to stdout, as people read it or on one line.
func (a *app) printJSON(v any, oneLine bool) error {
	text, err := toJSON(v, oneLine)
	if err != nil {
		return &failure{code: helper.ExitFailed, err: fmt.Errorf("internal error: %w", err)}
	}
	return a.print(text)
}
