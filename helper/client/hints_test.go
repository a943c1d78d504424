package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/distribution"
	"immutray.org/helper/journal"
)

func TestHint(t *testing.T) {
	debian := distribution.Distribution{"debian"}
	result := func(o helper.Outcome, w ...helper.Writer) error {
		return (&helper.Result{Outcome: o, Writers: w}).Err()
	}
	tests := []struct {
		name string
		err  error
		want string // a part of the hint; "" for no hint
	}{
		{"nothing", nil, ""},
		{"done", (&helper.Result{Outcome: helper.Done}).Err(), ""},
		{"failed", result(helper.Failed), "journalctl -t immutray-helper"},
		{"usage", result(helper.Usage), "different versions"},
		{"blocked", result(helper.Blocked, helper.Writer{PID: 1}), "immutectl writers"},
		{"blocked by nobody known", result(helper.Blocked), "The kernel does not say which program it is."},
		{"blocked by who hangs", result(helper.Blocked, helper.Writer{Kind: helper.WriterUnknown, PID: 1}), "the server of the file system that it waits for"},
		{"blocked by two", result(helper.Blocked, helper.Writer{Kind: helper.WriterUnknown, PID: 1}, helper.Writer{Kind: helper.WriterFile, PID: 2}), "immutectl writers"},
		{"a backup", (&helper.Result{Outcome: helper.Failed, Backup: &helper.Backup{PID: 1}}).Err(), "until the backup is done"},
		{"not prepared", result(helper.NotPrepared), "allow_readonly in " + config.Path},
		{"package manager", result(helper.PackageManager), "Wait until it has finished"},
		{"a command", (&helper.Result{Outcome: helper.PackageManager, Busy: &helper.Busy{Manager: helper.RunManager}}).Err(), "immutectl lock --force"},
		{"too long", result(helper.TooLong), "raise unlock_max in " + config.Path},
		{"too long as known here", config.Config{UnlockMax: 1}.Allows(2), "raise unlock_max in " + config.Path},
		{"configuration", result(helper.ConfigRefused), `As root, run "immutectl unlock --ignore-config", correct ` + config.Path},
		{"paths that don't fit", (&helper.Result{Outcome: helper.ConfigRefused, Unfit: true}).Err(), `Run "immutectl doctor" to see what does not fit`},
		{"quota", (&helper.Result{Outcome: helper.Failed, Limit: "EDQUOT"}).Err(), "A quota is used up."},
		{"disk full", (&helper.Result{Outcome: helper.Failed, Limit: "ENOSPC"}).Err(), "The disk is full."},
		{"too many open files", fmt.Errorf("cannot use %s: %w", config.Path, errors.Join(config.ErrRefused, unix.EMFILE)), "may not open more files"},
		{"too many open files anywhere", fmt.Errorf("cannot read: %w", unix.ENFILE), "All programs together"},
		{"configuration read here", fmt.Errorf("cannot start: %w", config.ErrRefused), `As root, run "immutectl unlock --ignore-config", correct ` + config.Path},
		{"cancelled", ErrCancelled, ""},
		{"no dialog", ErrNoDialog, "Close open menus"},
		{"not root", fmt.Errorf("cannot run a command: %w", helper.ErrRootOnly), "sudo immutectl run -- COMMAND"},
		{"no guardian", fmt.Errorf("cannot lock again: %w", helper.ErrNoGuardian), `Run "immutectl lock".`},
		{"no result", fmt.Errorf("cannot lock: %w", ErrNoResult), "then try again, which is safe"},
		{"not authorized", &AuthorizationError{Kind: NotAuthorized}, "The password was wrong"},
		{"no agent", &AuthorizationError{Kind: NoAgent}, "sudo immutectl lock"},
		{"no polkit", &AuthorizationError{Kind: NoPolkit}, "systemctl start polkit"},
		{"no pkexec", &AuthorizationError{Kind: PkexecMissing}, `Install pkexec with "sudo apt install pkexec".`},
		{"powerless", &AuthorizationError{Kind: PkexecPowerless}, "setuid bit"},
		{"environment", &AuthorizationError{Kind: PkexecRefusedEnvironment}, "sudo immutectl lock"},
		{"no helper", &AuthorizationError{Kind: HelperMissing}, "Install the package again."},
		{"other version", &AuthorizationError{Kind: OtherVersion}, "Log out and in again"},
		{"not allowed to read the journal", fmt.Errorf("cannot read the history: %w", journal.ErrNotAllowed), "sudo immutectl history"},
		{"no journal", journal.ErrMissing, "systemd's journal"},
		{"other", &AuthorizationError{}, "sudo immutectl lock"},
		{"wrapped", fmt.Errorf("cannot: %w", &AuthorizationError{Kind: HelperMissing}), "Install the package again."},
		{"something else", errors.New("no"), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := hintOn(test.err, debian)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("Hint(%v) = %q, want %q in it", test.err, got, test.want)
			}
			if got != "" && !strings.HasSuffix(got, ".") {
				t.Errorf("Hint(%v) = %q, want whole sentences", test.err, got)
			}
		})
	}
}

// Nothing that can go wrong is left without words.
func TestEveryKindHasWords(t *testing.T) {
	for kind := AuthorizationFailed; kind <= OtherVersion; kind++ {
		if authorizationReasons()[kind] == "" || authorizationHints(nil)[kind] == "" {
			t.Errorf("kind %d has no reason or no hint", kind)
		}
	}
}

// What is to be installed is called otherwise elsewhere.
func TestHintOnOtherDistributions(t *testing.T) {
	for id, want := range map[string]string{
		"fedora": `"sudo dnf install polkit"`, "arch": `"sudo pacman -S polkit"`, "suse": `"sudo zypper install pkexec"`, "nixos": "pkexec, which is part of polkit.",
	} {
		got := hintOn(&AuthorizationError{Kind: PkexecMissing}, distribution.Distribution{id})
		if !strings.Contains(got, want) || strings.Contains(got, "apt") {
			t.Errorf("on %s: %q, want %s in it", id, got, want)
		}
	}
}

// A limit that was reached goes over the wire by its name.
func TestLimitOf(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EDQUOT, unix.ENOSPC, unix.EMFILE, unix.ENFILE} {
		got := helper.LimitOf(fmt.Errorf("cannot lock: %w", errno))
		if got != unix.ErrnoName(errno) || limitHints()[got] == "" {
			t.Errorf("LimitOf(%v) = %q, with the hint %q", errno, got, limitHints()[got])
		}
	}
	if got := helper.LimitOf(errors.Join(unix.EBUSY)); got != "" {
		t.Errorf("LimitOf(EBUSY) = %q", got)
	}
}
