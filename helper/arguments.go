package helper

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A CommandLine is what the helper is started with: a request, and how to serve it. ID, UID
// and User of the request are not in it; the helper itself finds them.
type CommandLine struct {
	Request
	// Config is the configuration file; "" is the installed one. Only root may choose it.
	Config string
	// Work serves the request in this process. The units of Immutray say it.
	Work bool
	// Check only reports, by the exit code, whether this boot is for the verb.
	Check bool
	// Lent ends only the write access of runs whose guardian is gone.
	Lent bool
}

// A UsageError is the error for a command line that is refused.
type UsageError string

func (e UsageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return UsageError(fmt.Sprintf(format, args...)) }

// An option is one of the command line's.
type option struct {
	name  string
	verbs []Verb // that have it
	// given reports whether the command line has it already, or another that excludes it.
	given func(*CommandLine) bool
	// set takes the option, with its value if it has one.
	set func(c *CommandLine, value string) error
	// missing is the error without a value; "" for an option that has none.
	missing string
	// written returns the option's value, and whether the command line has the option.
	written func(*CommandLine) (value string, is bool)
}

// options lists every option, in the order in which they are written.
func options() []option {
	return []option{
		{
			name: "--for", verbs: []Verb{Unlock}, given: (*CommandLine).hasWindow,
			missing: "cannot unlock: the time is missing after --for",
			set:     func(c *CommandLine, value string) (err error) { c.For, err = parseWindow(value); return err },
			written: func(c *CommandLine) (string, bool) { return c.For.String(), c.For != 0 },
		},
		flag("--until-locked", func(c *CommandLine) *bool { return &c.UntilLocked }, Unlock).excludedBy((*CommandLine).hasWindow),
		text("--reason", func(c *CommandLine) *string { return &c.Reason }, parseReason,
			"cannot unlock: the reason is missing after --reason", Unlock),
		flag("--after-run", func(c *CommandLine) *bool { return &c.AfterRun }, Lock),
		flag("--ignore-config", func(c *CommandLine) *bool { return &c.IgnoreConfig }, Unlock),
		text("--config", func(c *CommandLine) *string { return &c.Config }, parseFile,
			"cannot choose a configuration: the file's name is missing after --config", Verbs()...),
		flag("--work", func(c *CommandLine) *bool { return &c.Work }, Verbs()...),
		flag("--check", func(c *CommandLine) *bool { return &c.Check }, Seal, Unseal),
		flag("--due", func(c *CommandLine) *bool { return &c.Due }, Lock),
		flag("--lent", func(c *CommandLine) *bool { return &c.Lent }, Lock),
		text("--on", func(c *CommandLine) *Occasion { return &c.On }, parseOccasion,
			"cannot lock: the occasion is missing after --on", Lock),
	}
}

// flag is an option without a value.
func flag(name string, of func(*CommandLine) *bool, verbs ...Verb) option {
	return option{
		name: name, verbs: verbs,
		given:   func(c *CommandLine) bool { return *of(c) },
		set:     func(c *CommandLine, _ string) error { *of(c) = true; return nil },
		written: func(c *CommandLine) (string, bool) { return "", *of(c) },
	}
}

// text is an option whose value is a text that is not empty.
func text[T ~string](name string, of func(*CommandLine) *T, parse func(string) (T, error), missing string, verbs ...Verb) option {
	return option{
		name: name, verbs: verbs, missing: missing,
		given:   func(c *CommandLine) bool { return *of(c) != "" },
		set:     func(c *CommandLine, value string) (err error) { *of(c), err = parse(value); return err },
		written: func(c *CommandLine) (string, bool) { return string(*of(c)), *of(c) != "" },
	}
}

func (o option) excludedBy(given func(*CommandLine) bool) option {
	o.given = given
	return o
}

// hasWindow reports whether the command line says how long to unlock.
func (c *CommandLine) hasWindow() bool { return c.For != 0 || c.UntilLocked }

// Arguments returns the helper's arguments. The verb comes first: polkit looks at the first
// argument alone.
func (c CommandLine) Arguments() []string {
	args := []string{string(c.Verb)}
	for _, o := range options() {
		value, is := o.written(&c)
		switch {
		case is && o.missing != "":
			args = append(args, o.name, value)
		case is:
			args = append(args, o.name)
		}
	}
	return args
}

// ParseCommandLine parses a whole command line, with the name of the program. After an
// error the verb is returned nevertheless, if it is known. The error is a [UsageError].
func ParseCommandLine(args []string) (CommandLine, error) {
	var c CommandLine
	if len(args) < 2 {
		return c, usagef("cannot tell what to do: the verb is missing")
	}
	verb, ok := ParseVerb(args[1])
	if !ok {
		return c, usagef("cannot do %s: there is no such verb", QuoteArgument(args[1]))
	}
	c.Verb = verb
	known := options()
	for rest := args[2:]; len(rest) > 0; {
		i := slices.IndexFunc(known, func(o option) bool { return o.name == rest[0] })
		if i < 0 || !slices.Contains(known[i].verbs, verb) || known[i].given(&c) {
			return c, usagef("cannot %s: unexpected argument %s", verb, QuoteArgument(rest[0]))
		}
		o, value := known[i], ""
		rest = rest[1:]
		if o.missing != "" {
			if len(rest) == 0 {
				return c, UsageError(o.missing)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := o.set(&c, value); err != nil {
			return c, err
		}
	}
	return c, c.check()
}

// check refuses options that contradict each other.
func (c *CommandLine) check() error {
	switch {
	case c.Work && c.hasWindow():
		return usagef("cannot unlock: with --work the request says for how long")
	case c.Work && c.AfterRun:
		return usagef("cannot lock: with --work the request says whether a command has ended")
	case c.Work && c.Reason != "":
		return usagef("cannot unlock: with --work the request says why")
	case c.Config != "" && c.IgnoreConfig:
		return usagef("cannot unlock: --config and --ignore-config cannot be used together")
	case c.Work && c.IgnoreConfig:
		return usagef("cannot unlock: with --work the request says whether to ignore the configuration")
	case c.Due && !c.Work:
		return usagef("cannot lock: --due is for a unit, with --work")
	case c.Lent && (!c.Work || c.Due || c.On != ""):
		return usagef("cannot lock: --lent is for a unit, with --work alone")
	case c.On != "" && (!c.Work || c.Due):
		return usagef("cannot lock: --on is for a unit, with --work and without --due")
	case c.Work && c.Verb.AtBoot():
		return usagef("cannot %s: it always works in its own process, without --work", c.Verb)
	}
	return nil
}

func parseWindow(arg string) (time.Duration, error) {
	const longest = len("720h0m0s.000000000")
	d, err := time.ParseDuration(arg)
	if err != nil || len(arg) > longest || arg[0] == '+' {
		return 0, usagef("cannot unlock for %s: write a time with its unit, such as 30m or 2h", QuoteArgument(arg))
	}
	if d < ShortestWindow || d > LongestWindow {
		return 0, usagef("cannot unlock for %s: it must be between %s and %.0fh", QuoteArgument(arg), ShortestWindow, LongestWindow.Hours())
	}
	return d, nil
}

func parseReason(arg string) (string, error) {
	text, err := CleanReason(arg)
	switch {
	case err != nil:
		return "", UsageError(err.Error())
	case text == "":
		return "", usagef("cannot unlock: the reason after --reason is empty")
	}
	return text, nil
}

func parseFile(arg string) (string, error) {
	if !strings.HasPrefix(arg, "/") {
		return "", usagef("cannot use configuration %s: its path must begin with /", QuoteArgument(arg))
	}
	return arg, nil
}

// parseOccasion parses an occasion that has a unit. The lock of the screen has none: the
// applet locks then, as it does for a click.
func parseOccasion(arg string) (Occasion, error) {
	on, ok := ParseOccasion(arg)
	if !ok || on == ScreenLock {
		return "", usagef("cannot lock on %s: there is no such occasion", QuoteArgument(arg))
	}
	return on, nil
}

// QuoteArgument quotes an argument for a message, the beginning of a long one.
func QuoteArgument(arg string) string {
	const most = 60
	if len(arg) > most {
		return strconv.Quote(arg[:most]) + "…"
	}
	return strconv.Quote(arg)
}
