package server

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

func TestParse(t *testing.T) {
	tests := []struct {
		args []string
		want task
	}{
		{[]string{"lock"}, task{verb: helper.Lock}},
		{[]string{"lock-force"}, task{verb: helper.LockForce}},
		{[]string{"lock-force", "--work"}, task{verb: helper.LockForce, work: true}},
		{[]string{"unlock"}, task{verb: helper.Unlock}},
		{[]string{"seal"}, task{verb: helper.Seal}},
		{[]string{"unseal"}, task{verb: helper.Unseal}},
		{[]string{"seal", "--check"}, task{verb: helper.Seal, check: true}},
		{[]string{"unseal", "--check", "--config", "/x"}, task{verb: helper.Unseal, check: true, config: "/x"}},
		{[]string{"lock", "--work"}, task{verb: helper.Lock, work: true}},
		{[]string{"lock", "--config", "/x"}, task{verb: helper.Lock, config: "/x"}},
		{[]string{"unlock", "--config", "/x", "--work"}, task{verb: helper.Unlock, config: "/x", work: true}},
		{[]string{"seal", "--config", "/x"}, task{verb: helper.Seal, config: "/x"}},
		{[]string{"unseal", "--config", "/x"}, task{verb: helper.Unseal, config: "/x"}},
		{[]string{"unlock", "--for", "30m"}, task{verb: helper.Unlock, unlockFor: 30 * time.Minute}},
		{[]string{"unlock", "--for", "1h30m0s"}, task{verb: helper.Unlock, unlockFor: 90 * time.Minute}},
		{[]string{"unlock", "--config", "/x", "--for", "1s"}, task{verb: helper.Unlock, config: "/x", unlockFor: time.Second}},
		{[]string{"unlock", "--for", "720h0m0s"}, task{verb: helper.Unlock, unlockFor: 720 * time.Hour}},
		{[]string{"unlock", "--until-locked"}, task{verb: helper.Unlock, untilLocked: true}},
		{[]string{"unlock", "--reason", "new kernel"}, task{verb: helper.Unlock, reason: "new kernel"}},
		{[]string{"unlock", "--for", "30m", "--reason", "--work\n"}, task{verb: helper.Unlock, unlockFor: 30 * time.Minute, reason: "--work"}},
		{[]string{"unlock", "--reason", "a\x1b[31m", "--until-locked"}, task{verb: helper.Unlock, untilLocked: true, reason: `a\x1b[31m`}},
		{[]string{"lock", "--work", "--due"}, task{verb: helper.Lock, work: true, due: true}},
		{[]string{"lock", "--after-run"}, task{verb: helper.Lock, afterRun: true}},
		{[]string{"lock", "--work", "--on", "sleep"}, task{verb: helper.Lock, work: true, on: config.Sleep}},
		{[]string{"lock", "--on", "logout", "--work"}, task{verb: helper.Lock, work: true, on: config.Logout}},
	}
	for _, test := range tests {
		if got, err := parse(append([]string{"immutray-helper"}, test.args...)); err != nil || got != test.want {
			t.Errorf("parse(%q) = %+v, %v, want %+v", test.args, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	many := append([]string{"x", "lock"}, slices.Repeat([]string{"lock"}, 10000)...)
	tests := []struct {
		name string
		args []string
		want string
		verb helper.Verb
	}{
		{"no arguments at all", nil, "the verb is missing", ""},
		{"the program's name only", []string{"x"}, "the verb is missing", ""},
		{"an empty name only, as the kernel makes of no arguments", []string{""}, "the verb is missing", ""},
		{"empty verb", []string{"x", ""}, `cannot do "": there is no such verb`, ""},
		{"unknown verb", []string{"x", "explode"}, `cannot do "explode": there is no such verb`, ""},
		{"a verb of a later version", []string{"x", "lock-harder"}, `cannot do "lock-harder"`, ""},
		{"verb in capitals", []string{"x", "Lock"}, `cannot do "Lock"`, ""},
		{"verb with a blank", []string{"x", "lock "}, `cannot do "lock "`, ""},
		{"verb with a NUL byte", []string{"x", "lock\x00"}, `cannot do "lock\x00"`, ""},
		{"option first", []string{"x", "--work", "lock"}, `cannot do "--work"`, ""},
		{"help", []string{"x", "--help"}, `cannot do "--help"`, ""},
		{"extra argument", []string{"x", "lock", "/etc"}, `cannot lock: unexpected argument "/etc"`, helper.Lock},
		{"empty extra argument", []string{"x", "lock", ""}, `cannot lock: unexpected argument ""`, helper.Lock},
		{"extra argument with a NUL byte", []string{"x", "lock", "\x00"}, `cannot lock: unexpected argument "\x00"`, helper.Lock},
		{"second verb", []string{"x", "lock", "unlock"}, `cannot lock: unexpected argument "unlock"`, helper.Lock},
		{"unknown option", []string{"x", "unlock", "--force"}, `cannot unlock: unexpected argument "--force"`, helper.Unlock},
		{"force as an option", []string{"x", "lock", "--force"}, `cannot lock: unexpected argument "--force"`, helper.Lock},
		{"the end of a window by force", []string{"x", "lock-force", "--work", "--due"}, `cannot lock-force: unexpected argument "--due"`, helper.LockForce},
		{"option with a value joined", []string{"x", "lock", "--config=/x"}, `unexpected argument "--config=/x"`, helper.Lock},
		{"option shortened", []string{"x", "lock", "--wo"}, `unexpected argument "--wo"`, helper.Lock},
		{"end of options", []string{"x", "lock", "--"}, `unexpected argument "--"`, helper.Lock},
		{"option twice", []string{"x", "lock", "--work", "--work"}, `unexpected argument "--work"`, helper.Lock},
		{"two configurations", []string{"x", "lock", "--config", "/a", "--config", "/b"}, `unexpected argument "--config"`, helper.Lock},
		{"no configuration named", []string{"x", "lock", "--config"}, "the file's name is missing after --config", helper.Lock},
		{"empty configuration", []string{"x", "lock", "--config", ""}, `cannot use configuration "": its path must begin with /`, helper.Lock},
		{"relative configuration", []string{"x", "lock", "--config", "a"}, `cannot use configuration "a": its path must begin with /`, helper.Lock},
		{"no time", []string{"x", "unlock", "--for"}, "cannot unlock: the time is missing after --for", helper.Unlock},
		{"empty time", []string{"x", "unlock", "--for", ""}, `cannot unlock for "": write a time with its unit, such as 30m or 2h`, helper.Unlock},
		{"time without a unit", []string{"x", "unlock", "--for", "30"}, `cannot unlock for "30": write a time with its unit`, helper.Unlock},
		{"time with a sign", []string{"x", "unlock", "--for", "+30m"}, `cannot unlock for "+30m": write a time`, helper.Unlock},
		{"negative time", []string{"x", "unlock", "--for", "-30m"}, `cannot unlock for "-30m": it must be between 1s and 720h`, helper.Unlock},
		{"no time at all", []string{"x", "unlock", "--for", "0"}, `cannot unlock for "0": it must be between 1s and 720h`, helper.Unlock},
		{"short time", []string{"x", "unlock", "--for", "999ms"}, `it must be between 1s and 720h`, helper.Unlock},
		{"long time", []string{"x", "unlock", "--for", "720h1s"}, `it must be between 1s and 720h`, helper.Unlock},
		{"time beyond all", []string{"x", "unlock", "--for", "9999999999h"}, `write a time with its unit`, helper.Unlock},
		{"a megabyte of time", []string{"x", "unlock", "--for", strings.Repeat("0", 1<<20) + "1m"}, `write a time with its unit`, helper.Unlock},
		{"time joined", []string{"x", "unlock", "--for=30m"}, `unexpected argument "--for=30m"`, helper.Unlock},
		{"two times", []string{"x", "unlock", "--for", "1m", "--for", "2m"}, `unexpected argument "--for"`, helper.Unlock},
		{"a time and no end", []string{"x", "unlock", "--for", "1m", "--until-locked"}, `unexpected argument "--until-locked"`, helper.Unlock},
		{"no end and a time", []string{"x", "unlock", "--until-locked", "--for", "1m"}, `unexpected argument "--for"`, helper.Unlock},
		{"a time for a lock", []string{"x", "lock", "--for", "1m"}, `cannot lock: unexpected argument "--for"`, helper.Lock},
		{"no end for a lock", []string{"x", "lock", "--until-locked"}, `cannot lock: unexpected argument "--until-locked"`, helper.Lock},
		{"a time for an unseal", []string{"x", "unseal", "--for", "1m"}, `cannot unseal: unexpected argument "--for"`, helper.Unseal},
		{"a time for a unit", []string{"x", "unlock", "--work", "--for", "1m"}, "cannot unlock: with --work the request says for how long", helper.Unlock},
		{"no reason", []string{"x", "unlock", "--reason"}, "cannot unlock: the reason is missing after --reason", helper.Unlock},
		{"empty reason", []string{"x", "unlock", "--reason", " \n"}, "cannot unlock: the reason after --reason is empty", helper.Unlock},
		{"two reasons", []string{"x", "unlock", "--reason", "a", "--reason", "b"}, `unexpected argument "--reason"`, helper.Unlock},
		{"reason joined", []string{"x", "unlock", "--reason=a"}, `unexpected argument "--reason=a"`, helper.Unlock},
		{"long reason", []string{"x", "unlock", "--reason", strings.Repeat("ä", 201)}, "cannot record the reason: it has 201 characters, 200 are allowed", helper.Unlock},
		{"a megabyte of reason", []string{"x", "unlock", "--reason", strings.Repeat("x", 1<<20)}, "cannot record the reason: it has 1048576 characters", helper.Unlock},
		{"reason that is no text", []string{"x", "unlock", "--reason", "a\xff"}, "cannot record the reason: it is not UTF-8 text", helper.Unlock},
		{"a reason for a lock", []string{"x", "lock", "--reason", "a"}, `cannot lock: unexpected argument "--reason"`, helper.Lock},
		{"a reason for an unseal", []string{"x", "unseal", "--reason", "a"}, `cannot unseal: unexpected argument "--reason"`, helper.Unseal},
		{"a reason for a unit", []string{"x", "unlock", "--work", "--reason", "a"}, "cannot unlock: with --work the request says why", helper.Unlock},
		{"due without a unit", []string{"x", "lock", "--due"}, "cannot lock: --due is for a unit, with --work", helper.Lock},
		{"due unlock", []string{"x", "unlock", "--work", "--due"}, `cannot unlock: unexpected argument "--due"`, helper.Unlock},
		{"the end of a command for a unit", []string{"x", "lock", "--work", "--after-run"}, "cannot lock: with --work the request says whether a command has ended", helper.Lock},
		{"the end of a command by force", []string{"x", "lock-force", "--after-run"}, `cannot lock-force: unexpected argument "--after-run"`, helper.LockForce},
		{"no occasion", []string{"x", "lock", "--work", "--on"}, "cannot lock: the occasion is missing after --on", helper.Lock},
		{"unknown occasion", []string{"x", "lock", "--work", "--on", "party"}, `cannot lock on "party": there is no such occasion`, helper.Lock},
		{"an occasion that is the applet's", []string{"x", "lock", "--work", "--on", "screen-lock"}, `cannot lock on "screen-lock": there is no such occasion`, helper.Lock},
		{"empty occasion", []string{"x", "lock", "--work", "--on", ""}, `cannot lock on "": there is no such occasion`, helper.Lock},
		{"two occasions", []string{"x", "lock", "--work", "--on", "sleep", "--on", "logout"}, `cannot lock: unexpected argument "--on"`, helper.Lock},
		{"occasion without a unit", []string{"x", "lock", "--on", "sleep"}, "cannot lock: --on is for a unit, with --work and without --due", helper.Lock},
		{"occasion and due", []string{"x", "lock", "--work", "--due", "--on", "sleep"}, "cannot lock: --on is for a unit, with --work and without --due", helper.Lock},
		{"occasion of an unlock", []string{"x", "unlock", "--work", "--on", "sleep"}, `cannot unlock: unexpected argument "--on"`, helper.Unlock},
		{"a check of a lock", []string{"x", "lock", "--check"}, `cannot lock: unexpected argument "--check"`, helper.Lock},
		{"two checks", []string{"x", "seal", "--check", "--check"}, `cannot seal: unexpected argument "--check"`, helper.Seal},
		{"seal as a unit's work", []string{"x", "seal", "--work"}, "cannot seal: it always works in its own process", helper.Seal},
		{"unseal as a unit's work", []string{"x", "unseal", "--work"}, "cannot unseal: it always works in its own process", helper.Unseal},
		{"10,000 arguments", many, `cannot lock: unexpected argument "lock"`, helper.Lock},
		{"a megabyte", []string{"x", strings.Repeat("x", 1<<20)}, "…: there is no such verb", ""},
		{"control characters", []string{"x", "\x1b[31m\n"}, `cannot do "\x1b[31m\n"`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(test.args)
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 300 {
				t.Fatalf("parse() = %+v, %.400v, want a usage error with %q", got, err, test.want)
			}
			if got.verb != test.verb {
				t.Errorf("parse() has verb %q, want %q", got.verb, test.verb)
			}
			f := newFixture(t)
			if code := f.desk.serve(t.Context(), test.args, nil); code != helper.ExitUsage {
				t.Errorf("exit %d, want %d", code, helper.ExitUsage)
			}
			if r := parseOutput(t, f.out.String()); r.Outcome != helper.Usage || r.Error != err.Error() || r.Request.Verb != test.verb {
				t.Errorf("result %+v", r)
			}
			if !strings.Contains(f.err.String(), "\nusage: immutray-helper lock|lock-force|unlock|seal|unseal [") {
				t.Errorf("standard error has no usage: %q", f.err.String())
			}
			if len(f.worked) > 0 || len(f.records) != 1 || f.records[0].MessageID != MessageDenied {
				t.Errorf("worked %v, journal %+v, want a denial in the journal and no work", f.worked, f.records)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("lock")
	f.Add("lock\n--work")
	f.Add("unlock\n--config\n/etc/x.toml")
	f.Add("seal\n\x00")
	f.Add("unseal")
	f.Add("unlock\n--for\n1h30m")
	f.Add("unlock\n--until-locked")
	f.Add("lock\n--work\n--due")
	f.Add("lock\n--work\n--on\nsleep")
	f.Add("lock\n--after-run")
	f.Fuzz(func(t *testing.T, line string) {
		args := append([]string{"x"}, strings.Split(line, "\n")...)
		got, err := parse(args)
		if err != nil {
			return
		}
		again := []string{string(got.verb)}
		if got.work {
			again = append(again, "--work")
		}
		if got.config != "" {
			again = append(again, "--config", got.config)
		}
		if got.untilLocked {
			again = append(again, "--until-locked")
		}
		if got.due {
			again = append(again, "--due")
		}
		if got.afterRun {
			again = append(again, "--after-run")
		}
		if got.on != "" {
			again = append(again, "--on", string(got.on))
		}
		if got.unlockFor != 0 {
			again = append(again, "--for", got.unlockFor.String())
			i := slices.Index(args, "--for") + 1
			if d, err := time.ParseDuration(args[i]); err != nil || d != got.unlockFor {
				t.Errorf("parse(%q) = %+v", args, got)
			}
			args[i] = got.unlockFor.String() // a time can be written in many ways
		}
		// Nothing may be understood in two ways.
		slices.Sort(again[1:])
		rest := slices.Clone(args[1:])
		slices.Sort(rest[1:])
		if !slices.Equal(rest, again) {
			t.Errorf("parse(%q) = %+v", args, got)
		}
	})
}
