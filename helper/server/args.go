package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

// A task is a command line that was understood.
type task struct {
	verb   helper.Verb
	work   bool   // do it in this process: a unit of ours runs us
	check  bool   // only tell whether this boot is for the verb
	config string // "" is the installed configuration

	unlockFor   time.Duration // 0 is the configured time
	untilLocked bool
	afterRun    bool            // it is the end of a command of "immutectl run"
	due         bool            // lock only if a window has ended
	lent        bool            // lock only what was lent to commands that nobody answers for
	on          config.Occasion // lock only if the configuration has it; "" is always
	reason      string

	ignoreConfig bool // unlock although the configuration is refused
}

// A usageError is a command line that was refused.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// parse reads a whole command line, the program's name included. The verb comes
// first: a polkit action is bound to the first argument alone. Where it can be told
// the verb is returned even with an error.
func parse(args []string) (task, error) {
	var t task
	if len(args) < 2 {
		return t, usagef("cannot tell what to do: the verb is missing")
	}
	verb, ok := helper.ParseVerb(args[1])
	if !ok {
		return t, usagef("cannot do %s: there is no such verb", shown(args[1]))
	}
	t.verb = verb
	for rest := args[2:]; len(rest) > 0; {
		switch {
		case rest[0] == "--work" && !t.work:
			t.work = true
			rest = rest[1:]
		case rest[0] == "--check" && verb.AtBoot() && !t.check:
			t.check = true
			rest = rest[1:]
		case rest[0] == "--due" && verb == helper.Lock && !t.due:
			t.due = true
			rest = rest[1:]
		case rest[0] == "--lent" && verb == helper.Lock && !t.lent:
			t.lent = true
			rest = rest[1:]
		case rest[0] == "--after-run" && verb == helper.Lock && !t.afterRun:
			t.afterRun = true
			rest = rest[1:]
		case rest[0] == "--on" && verb == helper.Lock && t.on == "" && len(rest) > 1:
			if t.on, ok = config.ParseOccasion(rest[1]); !ok || t.on == config.ScreenLock {
				return t, usagef("cannot lock on %s: there is no such occasion", shown(rest[1]))
			}
			rest = rest[2:]
		case rest[0] == "--on" && verb == helper.Lock && t.on == "":
			return t, usagef("cannot lock: the occasion is missing after --on")
		case rest[0] == "--until-locked" && verb == helper.Unlock && !t.limited():
			t.untilLocked = true
			rest = rest[1:]
		case rest[0] == "--for" && verb == helper.Unlock && !t.limited() && len(rest) > 1:
			var err error
			if t.unlockFor, err = window(rest[1]); err != nil {
				return t, err
			}
			rest = rest[2:]
		case rest[0] == "--for" && verb == helper.Unlock && !t.limited():
			return t, usagef("cannot unlock: the time is missing after --for")
		case rest[0] == "--reason" && verb == helper.Unlock && t.reason == "" && len(rest) > 1:
			var err error
			if t.reason, err = reason(rest[1]); err != nil {
				return t, err
			}
			rest = rest[2:]
		case rest[0] == "--reason" && verb == helper.Unlock && t.reason == "":
			return t, usagef("cannot unlock: the reason is missing after --reason")
		case rest[0] == "--ignore-config" && verb == helper.Unlock && !t.ignoreConfig:
			t.ignoreConfig = true
			rest = rest[1:]
		case rest[0] == "--config" && t.config == "" && len(rest) > 1:
			if !strings.HasPrefix(rest[1], "/") {
				return t, usagef("cannot use configuration %s: its path must begin with /", shown(rest[1]))
			}
			t.config = rest[1]
			rest = rest[2:]
		case rest[0] == "--config" && t.config == "":
			return t, usagef("cannot choose a configuration: the file's name is missing after --config")
		default:
			return t, usagef("cannot %s: unexpected argument %s", verb, shown(rest[0]))
		}
	}
	switch {
	case t.work && t.limited():
		return t, usagef("cannot unlock: with --work the request says for how long")
	case t.work && t.afterRun:
		return t, usagef("cannot lock: with --work the request says whether a command has ended")
	case t.work && t.reason != "":
		return t, usagef("cannot unlock: with --work the request says why")
	case t.config != "" && t.ignoreConfig:
		return t, usagef("cannot unlock: --config and --ignore-config cannot be used together")
	case t.work && t.ignoreConfig:
		return t, usagef("cannot unlock: with --work the request says whether to ignore the configuration")
	case t.due && !t.work:
		return t, usagef("cannot lock: --due is for a unit, with --work")
	case t.lent && (!t.work || t.due || t.on != ""):
		return t, usagef("cannot lock: --lent is for a unit, with --work alone")
	case t.on != "" && (!t.work || t.due):
		return t, usagef("cannot lock: --on is for a unit, with --work and without --due")
	}
	if t.work && t.verb.AtBoot() {
		return t, usagef("cannot %s: it always works in its own process, without --work", verb)
	}
	return t, nil
}

// limited reports whether it was said how long to unlock.
func (t task) limited() bool { return t.unlockFor != 0 || t.untilLocked }

// reason reads the text after --reason, which has to say something.
func reason(arg string) (string, error) {
	text, err := helper.CleanReason(arg)
	switch {
	case err != nil:
		return "", usageError(err.Error())
	case text == "":
		return "", usagef("cannot unlock: the reason after --reason is empty")
	}
	return text, nil
}

// window reads the time after --for.
func window(arg string) (time.Duration, error) {
	const longest = len("720h0m0s.000000000")
	d, err := time.ParseDuration(arg)
	if err != nil || len(arg) > longest || arg[0] == '+' {
		return 0, usagef("cannot unlock for %s: write a time with its unit, such as 30m or 2h", shown(arg))
	}
	if d < config.ShortestAsked || d > config.LongestWindow {
		return 0, usagef("cannot unlock for %s: it must be between %s and %s", shown(arg), config.Short(config.ShortestAsked), config.Short(config.LongestWindow))
	}
	return d, nil
}

// fitForUser refuses what is root's own: pkexec lets every argument after the first
// pass, and runs any first argument for an administrator's password.
func (t task) fitForUser() error {
	switch {
	case t.config != "":
		return usagef("cannot choose a configuration: only root may")
	case t.ignoreConfig:
		return usagef("cannot ignore the configuration: only root may")
	case t.work:
		return usagef("cannot use --work: only units may")
	case t.afterRun:
		return usagef("cannot use --after-run: only root may")
	case t.verb.AtBoot():
		return usagef("cannot %s: only the boot may", t.verb)
	}
	return nil
}

// shown quotes an argument for a message, the beginning of a long one.
func shown(arg string) string {
	const most = 60
	if len(arg) > most {
		return strconv.Quote(arg[:most]) + "…"
	}
	return strconv.Quote(arg)
}
