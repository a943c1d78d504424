package tray

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/inforce"
	"immutray.org/notify"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// practiceVariable is set to 1 in the practice system, where the applet may run as root, in
// namespaces of its own, and where a panel outside does not find the icons that are installed.
const practiceVariable = "IMMUTRAY_PRACTICE"

const usage = `Usage: immutray [OPTION]

Shows in the desktop's tray whether the operating system is locked, locks it on a
click, asks for the password to unlock it, and reminds you while it is unlocked.

Options:
      --debug      print more to standard error
  -v, --version    print the version
  -h, --help       print this

Settings are read from ~/.config/immutray/config.toml:
  remind_first = "5m"      first reminder after login or unlock
  remind_every = "15m"     time from one reminder to the next
  snooze       = "1h"      how long "Remind me in …" puts reminders off
  click        = "toggle"  "toggle", "lock" (never unlocks) or "menu"
  icon_style   = "color"   "color" or "symbolic"

Environment:
  IMMUTRAY_PRACTICE=1      let it run as root; only for the practice system,
                           where it can harm nothing else

Example:
  immutray --debug
`

// options are the command line.
type options struct{ debug, version, help bool }

// Main is the program immutray; it returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case err != nil:
		complain(stderr, err, `see "immutray --help"`)
		return exitUsage
	case o.help:
		fmt.Fprint(stdout, usage)
		return exitDone
	case o.version:
		fmt.Fprintln(stdout, "immutray", helper.Version())
		return exitDone
	case refused(os.Geteuid(), os.Getenv(practiceVariable)):
		complain(stderr, errors.New("must not run as root"),
			"start it as the user who is logged in; it asks for the password when it needs it")
		return exitFailed
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	return o.run(ctx, stdout, stderr)
}

// refused says whether a user may not run the applet: a session's bus does not
// belong to root, and nothing here needs root.
func refused(uid int, practice string) bool { return uid == 0 && practice != "1" }

func (o options) run(ctx context.Context, stdout, stderr io.Writer) int {
	logger := newLogger(stderr, o.debug)
	err := newApp(logger).run(ctx)
	switch {
	case errors.Is(err, errAlreadyRunning):
		fmt.Fprintln(stdout, err)
		return exitDone
	case errors.Is(err, errBusGone):
		logger.Info("the session has ended")
		return exitDone
	case err != nil:
		complain(stderr, err, "start immutray in a desktop session; it needs the bus of that session")
		return exitFailed
	}
	return exitDone
}

func newApp(logger *slog.Logger) *app {
	settings := ownSettings()
	for _, fault := range settings.Faults {
		logger.Warn("a setting is not used", "file", settings.Path, "error", fault)
	}
	clock := notify.NewBootClock()
	return &app{
		system: &machine{
			Config: inforce.Machine(),
			Clock:  clock,
			Failed: func(err error) { logger.Warn("changes may be shown late", "error", err) },
		},
		helper:   &client.Client{},
		services: services{},
		history:  machineHistory{inforce.Machine()},
		clock:    clock,
		theme:    desktopTheme(os.Getenv),
		settings: settings,
		version:  helper.Version(),
		log:      logger,
	}
}

// ownSettings reads the settings of the person who runs the applet. Without a home directory
// there are none.
func ownSettings() settingsFile {
	path, err := settingsPath()
	if err != nil {
		return settingsFile{Settings: defaultSettings(), Faults: []string{err.Error()}}
	}
	return readSettings(path)
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("immutray", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.debug, "debug", false, "")
	flags.BoolVar(&o.version, "version", false, "")
	flags.BoolVar(&o.version, "v", false, "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		o.help = true
		return o, nil
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, err
}

func complain(w io.Writer, err error, hint string) {
	fmt.Fprintf(w, "immutray: error: %v\n", err)
	fmt.Fprintf(w, "immutray: hint: %s\n", hint)
}

// newLogger logs as text. The time is left out: journald, which keeps the log, adds it.
// The libraries that use package log report there what does not concern a user: that
// there is no tray, for instance, which the applet says itself.
func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	handler := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime})
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(handler, slog.LevelDebug).Writer())
	return slog.New(handler)
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
