package helper

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseCommandLine(t *testing.T) {
	tests := []struct {
		args []string
		want CommandLine
	}{
		{[]string{"lock"}, CommandLine{Request: Request{Verb: Lock}}},
		{[]string{"lock-force"}, CommandLine{Request: Request{Verb: LockForce}}},
		{[]string{"lock-force", "--work"}, CommandLine{Request: Request{Verb: LockForce}, Work: true}},
		{[]string{"unlock"}, CommandLine{Request: Request{Verb: Unlock}}},
		{[]string{"seal"}, CommandLine{Request: Request{Verb: Seal}}},
		{[]string{"unseal"}, CommandLine{Request: Request{Verb: Unseal}}},
		{[]string{"seal", "--check"}, CommandLine{Request: Request{Verb: Seal}, Check: true}},
		{[]string{"unseal", "--check", "--config", "/x"}, CommandLine{Request: Request{Verb: Unseal}, Check: true, Config: "/x"}},
		{[]string{"lock", "--work"}, CommandLine{Request: Request{Verb: Lock}, Work: true}},
		{[]string{"lock", "--config", "/x"}, CommandLine{Request: Request{Verb: Lock}, Config: "/x"}},
		{[]string{"unlock", "--config", "/x", "--work"}, CommandLine{Request: Request{Verb: Unlock}, Config: "/x", Work: true}},
		{[]string{"seal", "--config", "/x"}, CommandLine{Request: Request{Verb: Seal}, Config: "/x"}},
		{[]string{"unseal", "--config", "/x"}, CommandLine{Request: Request{Verb: Unseal}, Config: "/x"}},
		{[]string{"unlock", "--for", "30m"}, CommandLine{Request: Request{Verb: Unlock, For: 30 * time.Minute}}},
		{[]string{"unlock", "--for", "1h30m0s"}, CommandLine{Request: Request{Verb: Unlock, For: 90 * time.Minute}}},
		{[]string{"unlock", "--config", "/x", "--for", "1s"}, CommandLine{Request: Request{Verb: Unlock, For: time.Second}, Config: "/x"}},
		{[]string{"unlock", "--for", "720h0m0s"}, CommandLine{Request: Request{Verb: Unlock, For: 720 * time.Hour}}},
		{[]string{"unlock", "--until-locked"}, CommandLine{Request: Request{Verb: Unlock, UntilLocked: true}}},
		{[]string{"unlock", "--reason", "new kernel"}, CommandLine{Request: Request{Verb: Unlock, Reason: "new kernel"}}},
		{[]string{"unlock", "--for", "30m", "--reason", "--work\n"}, CommandLine{Request: Request{Verb: Unlock, For: 30 * time.Minute, Reason: "--work"}}},
		{[]string{"unlock", "--reason", "a\x1b[31m", "--until-locked"}, CommandLine{Request: Request{Verb: Unlock, UntilLocked: true, Reason: `a\x1b[31m`}}},
		{[]string{"lock", "--work", "--due"}, CommandLine{Request: Request{Verb: Lock, Due: true}, Work: true}},
		{[]string{"lock", "--after-run"}, CommandLine{Request: Request{Verb: Lock, AfterRun: true}}},
		{[]string{"lock", "--work", "--on", "sleep"}, CommandLine{Request: Request{Verb: Lock, On: Sleep}, Work: true}},
		{[]string{"lock", "--on", "logout", "--work"}, CommandLine{Request: Request{Verb: Lock, On: Logout}, Work: true}},
	}
	for _, test := range tests {
		if got, err := ParseCommandLine(append([]string{"immutray-helper"}, test.args...)); err != nil || got != test.want {
			t.Errorf("ParseCommandLine(%q) = %+v, %v, want %+v", test.args, got, err, test.want)
		}
	}
}

// What the client writes the helper understands.
func TestArguments(t *testing.T) {
	for _, c := range []CommandLine{
		{Request: Request{Verb: Lock}},
		{Request: Request{Verb: LockForce}, Config: "/x"},
		{Request: Request{Verb: Unlock, For: 90 * time.Minute, Reason: "--for 3h", IgnoreConfig: true}},
		{Request: Request{Verb: Unlock, UntilLocked: true, Reason: "x"}, Config: "/x"},
		{Request: Request{Verb: Lock, AfterRun: true}},
		{Request: Request{Verb: Lock, Due: true}, Work: true},
		{Request: Request{Verb: Lock, On: Logout}, Work: true},
		{Request: Request{Verb: Lock}, Lent: true, Work: true},
		{Request: Request{Verb: Seal}, Check: true},
	} {
		args := c.Arguments()
		if got, err := ParseCommandLine(append([]string{"x"}, args...)); err != nil || got != c || args[0] != string(c.Verb) {
			t.Errorf("%+v is written as %q, and understood as %+v, %v", c, args, got, err)
		}
	}
}

func TestParseCommandLineRefuses(t *testing.T) {
	many := append([]string{"x", "lock"}, slices.Repeat([]string{"lock"}, 10000)...)
	tests := []struct {
		name string
		args []string
		want string
		verb Verb
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
		{"extra argument", []string{"x", "lock", "/etc"}, `cannot lock: unexpected argument "/etc"`, Lock},
		{"empty extra argument", []string{"x", "lock", ""}, `cannot lock: unexpected argument ""`, Lock},
		{"extra argument with a NUL byte", []string{"x", "lock", "\x00"}, `cannot lock: unexpected argument "\x00"`, Lock},
		{"second verb", []string{"x", "lock", "unlock"}, `cannot lock: unexpected argument "unlock"`, Lock},
		{"unknown option", []string{"x", "unlock", "--force"}, `cannot unlock: unexpected argument "--force"`, Unlock},
		{"force as an option", []string{"x", "lock", "--force"}, `cannot lock: unexpected argument "--force"`, Lock},
		{"the end of a window by force", []string{"x", "lock-force", "--work", "--due"}, `cannot lock-force: unexpected argument "--due"`, LockForce},
		{"option with a value joined", []string{"x", "lock", "--config=/x"}, `unexpected argument "--config=/x"`, Lock},
		{"option shortened", []string{"x", "lock", "--wo"}, `unexpected argument "--wo"`, Lock},
		{"end of options", []string{"x", "lock", "--"}, `unexpected argument "--"`, Lock},
		{"option twice", []string{"x", "lock", "--work", "--work"}, `unexpected argument "--work"`, Lock},
		{"two configurations", []string{"x", "lock", "--config", "/a", "--config", "/b"}, `unexpected argument "--config"`, Lock},
		{"no configuration named", []string{"x", "lock", "--config"}, "the file's name is missing after --config", Lock},
		{"empty configuration", []string{"x", "lock", "--config", ""}, `cannot use configuration "": its path must begin with /`, Lock},
		{"relative configuration", []string{"x", "lock", "--config", "a"}, `cannot use configuration "a": its path must begin with /`, Lock},
		{"no time", []string{"x", "unlock", "--for"}, "cannot unlock: the time is missing after --for", Unlock},
		{"empty time", []string{"x", "unlock", "--for", ""}, `cannot unlock for "": write a time with its unit, such as 30m or 2h`, Unlock},
		{"time without a unit", []string{"x", "unlock", "--for", "30"}, `cannot unlock for "30": write a time with its unit`, Unlock},
		{"time with a sign", []string{"x", "unlock", "--for", "+30m"}, `cannot unlock for "+30m": write a time`, Unlock},
		{"negative time", []string{"x", "unlock", "--for", "-30m"}, `cannot unlock for "-30m": it must be between 1s and 720h`, Unlock},
		{"no time at all", []string{"x", "unlock", "--for", "0"}, `cannot unlock for "0": it must be between 1s and 720h`, Unlock},
		{"short time", []string{"x", "unlock", "--for", "999ms"}, `it must be between 1s and 720h`, Unlock},
		{"long time", []string{"x", "unlock", "--for", "720h1s"}, `it must be between 1s and 720h`, Unlock},
		{"time beyond all", []string{"x", "unlock", "--for", "9999999999h"}, `write a time with its unit`, Unlock},
		{"a megabyte of time", []string{"x", "unlock", "--for", strings.Repeat("0", 1<<20) + "1m"}, `write a time with its unit`, Unlock},
		{"time joined", []string{"x", "unlock", "--for=30m"}, `unexpected argument "--for=30m"`, Unlock},
		{"two times", []string{"x", "unlock", "--for", "1m", "--for", "2m"}, `unexpected argument "--for"`, Unlock},
		{"a time and no end", []string{"x", "unlock", "--for", "1m", "--until-locked"}, `unexpected argument "--until-locked"`, Unlock},
		{"no end and a time", []string{"x", "unlock", "--until-locked", "--for", "1m"}, `unexpected argument "--for"`, Unlock},
		{"a time for a lock", []string{"x", "lock", "--for", "1m"}, `cannot lock: unexpected argument "--for"`, Lock},
		{"no end for a lock", []string{"x", "lock", "--until-locked"}, `cannot lock: unexpected argument "--until-locked"`, Lock},
		{"a time for an unseal", []string{"x", "unseal", "--for", "1m"}, `cannot unseal: unexpected argument "--for"`, Unseal},
		{"a time for a unit", []string{"x", "unlock", "--work", "--for", "1m"}, "cannot unlock: with --work the request says for how long", Unlock},
		{"no reason", []string{"x", "unlock", "--reason"}, "cannot unlock: the reason is missing after --reason", Unlock},
		{"empty reason", []string{"x", "unlock", "--reason", " \n"}, "cannot unlock: the reason after --reason is empty", Unlock},
		{"two reasons", []string{"x", "unlock", "--reason", "a", "--reason", "b"}, `unexpected argument "--reason"`, Unlock},
		{"reason joined", []string{"x", "unlock", "--reason=a"}, `unexpected argument "--reason=a"`, Unlock},
		{"long reason", []string{"x", "unlock", "--reason", strings.Repeat("ä", 201)}, "cannot record the reason: it has 201 characters, 200 are allowed", Unlock},
		{"a megabyte of reason", []string{"x", "unlock", "--reason", strings.Repeat("x", 1<<20)}, "cannot record the reason: it has 1048576 characters", Unlock},
		{"reason that is no text", []string{"x", "unlock", "--reason", "a\xff"}, "cannot record the reason: it is not UTF-8 text", Unlock},
		{"a reason for a lock", []string{"x", "lock", "--reason", "a"}, `cannot lock: unexpected argument "--reason"`, Lock},
		{"a reason for an unseal", []string{"x", "unseal", "--reason", "a"}, `cannot unseal: unexpected argument "--reason"`, Unseal},
		{"a reason for a unit", []string{"x", "unlock", "--work", "--reason", "a"}, "cannot unlock: with --work the request says why", Unlock},
		{"due without a unit", []string{"x", "lock", "--due"}, "cannot lock: --due is for a unit, with --work", Lock},
		{"due unlock", []string{"x", "unlock", "--work", "--due"}, `cannot unlock: unexpected argument "--due"`, Unlock},
		{"the end of a command for a unit", []string{"x", "lock", "--work", "--after-run"}, "cannot lock: with --work the request says whether a command has ended", Lock},
		{"the end of a command by force", []string{"x", "lock-force", "--after-run"}, `cannot lock-force: unexpected argument "--after-run"`, LockForce},
		{"no occasion", []string{"x", "lock", "--work", "--on"}, "cannot lock: the occasion is missing after --on", Lock},
		{"unknown occasion", []string{"x", "lock", "--work", "--on", "party"}, `cannot lock on "party": there is no such occasion`, Lock},
		{"an occasion that is the applet's", []string{"x", "lock", "--work", "--on", "screen-lock"}, `cannot lock on "screen-lock": there is no such occasion`, Lock},
		{"empty occasion", []string{"x", "lock", "--work", "--on", ""}, `cannot lock on "": there is no such occasion`, Lock},
		{"two occasions", []string{"x", "lock", "--work", "--on", "sleep", "--on", "logout"}, `cannot lock: unexpected argument "--on"`, Lock},
		{"occasion without a unit", []string{"x", "lock", "--on", "sleep"}, "cannot lock: --on is for a unit, with --work and without --due", Lock},
		{"occasion and due", []string{"x", "lock", "--work", "--due", "--on", "sleep"}, "cannot lock: --on is for a unit, with --work and without --due", Lock},
		{"occasion of an unlock", []string{"x", "unlock", "--work", "--on", "sleep"}, `cannot unlock: unexpected argument "--on"`, Unlock},
		{"a check of a lock", []string{"x", "lock", "--check"}, `cannot lock: unexpected argument "--check"`, Lock},
		{"two checks", []string{"x", "seal", "--check", "--check"}, `cannot seal: unexpected argument "--check"`, Seal},
		{"seal as a unit's work", []string{"x", "seal", "--work"}, "cannot seal: it always works in its own process", Seal},
		{"unseal as a unit's work", []string{"x", "unseal", "--work"}, "cannot unseal: it always works in its own process", Unseal},
		{"10,000 arguments", many, `cannot lock: unexpected argument "lock"`, Lock},
		{"a megabyte", []string{"x", strings.Repeat("x", 1<<20)}, "…: there is no such verb", ""},
		{"control characters", []string{"x", "\x1b[31m\n"}, `cannot do "\x1b[31m\n"`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseCommandLine(test.args)
			var usage UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 300 {
				t.Fatalf("ParseCommandLine() = %+v, %.400v, want a usage error with %q", got, err, test.want)
			}
			if got.Verb != test.verb {
				t.Errorf("ParseCommandLine() has verb %q, want %q", got.Verb, test.verb)
			}
		})
	}
}

func FuzzParseCommandLine(f *testing.F) {
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
		got, err := ParseCommandLine(args)
		if err != nil {
			return
		}
		again := got.Arguments()
		if got.For != 0 {
			i := slices.Index(args, "--for") + 1
			if d, err := time.ParseDuration(args[i]); err != nil || d != got.For {
				t.Errorf("ParseCommandLine(%q) = %+v", args, got)
			}
			args[i] = got.For.String() // a time can be written in many ways
		}
		if got.Reason != "" {
			args[slices.Index(args, "--reason")+1] = got.Reason // and a reason is made printable
		}
		// Nothing may be understood in two ways.
		slices.Sort(again[1:])
		rest := slices.Clone(args[1:])
		slices.Sort(rest[1:])
		if !slices.Equal(rest, again) {
			t.Errorf("ParseCommandLine(%q) = %+v", args, got)
		}
	})
}
