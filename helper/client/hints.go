package client

import (
	"context"
	"errors"
	"slices"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/distribution"
	"immutray.org/helper/journal"
)

// Hint returns what the person can do about err, in whole sentences; "" when there
// is nothing to say. The command line prints it below the error, the tray shows it
// with the message.
func Hint(err error) string { return hintOn(err, distribution.Here()) }

func hintOn(err error, d distribution.Distribution) string {
	var result *helper.ResultError
	var auth *AuthorizationError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &result):
		return resultHint(result.Result)
	case errors.As(err, &auth):
		return authorizationHints(d)[auth.Kind]
	case limitHints()[helper.LimitOf(err)] != "":
		// Before those of the configuration: a file that could not be opened because a limit
		// was reached need not be corrected.
		return limitHints()[helper.LimitOf(err)]
	case errors.Is(err, ErrNoDialog):
		return "Close open menus and dialogs, then try again."
	case errors.Is(err, ErrCancelled):
		return ""
	case errors.Is(err, ErrNoResult):
		return `Run "immutectl status" to see the state, then try again, which is safe.`
	case errors.Is(err, config.ErrTooLong):
		return outcomeHints()[helper.TooLong]
	case errors.Is(err, config.ErrRefused):
		return outcomeHints()[helper.ConfigRefused]
	case errors.Is(err, journal.ErrNotAllowed):
		return `Run "sudo immutectl history", or have an administrator add you to the group systemd-journal.`
	case errors.Is(err, journal.ErrMissing):
		return "Immutray keeps a history that outlasts a restart only in systemd's journal."
	case errors.Is(err, helper.ErrRootOnly):
		return `Run "sudo immutectl run -- COMMAND".`
	case errors.Is(err, helper.ErrNoGuardian):
		return `Run "immutectl lock".`
	case errors.Is(err, context.DeadlineExceeded):
		return "Try again."
	}
	return ""
}

func resultHint(r *helper.Result) string {
	if r.Outcome == helper.Blocked && len(r.Writers) == 0 {
		return "The kernel does not say which program it is. Close programs and containers that may be writing, then lock again."
	}
	if r.Outcome == helper.Blocked && !slices.ContainsFunc(r.Writers, func(w helper.Writer) bool { return w.Kind != helper.WriterUnknown }) {
		return `Such a process hangs, and so does every program that inspects it. End it, or the server of the file system that it waits for, then lock again. To lock anyway, run "immutectl lock --force".`
	}
	if r.Outcome == helper.PackageManager && r.Busy != nil && r.Busy.Kind() == helper.BusyRun {
		return `Wait until it ends, or take away its write access with "immutectl lock --force".`
	}
	if r.Backup != nil {
		return "Wait until the backup is done, or end it, then try again. Nothing was changed."
	}
	if hint := limitHints()[r.Limit]; hint != "" {
		return hint
	}
	if r.Unfit {
		hint := `Run "immutectl doctor" to see what does not fit this computer, and what to do.`
		if r.Request.Verb == helper.Unlock {
			hint += ` As root, "immutectl unlock --ignore-config" unlocks the rest.`
		}
		return hint
	}
	return outcomeHints()[r.Outcome]
}

func outcomeHints() map[helper.Outcome]string {
	return map[helper.Outcome]string{
		helper.Failed:         `Run "immutectl status" to see the state, and "journalctl -t immutray-helper" to see what was done.`,
		helper.Usage:          "Parts of Immutray have different versions. Log out and in again, or install it again.",
		helper.Blocked:        `Close these programs or stop their services, then lock again. "immutectl writers" lists them, "immutectl lock --wait 2m" waits for them.`,
		helper.NotPrepared:    `Give each of these directories a subvolume of its own with "sudo immutectl island DIRECTORY", or name it in allow_readonly in ` + config.Path + ".",
		helper.PackageManager: `Wait until it has finished, then try again, or run "immutectl lock --wait 1h".`,
		helper.TooLong:        "Ask for less time, and unlock again when you need more; or, as root, raise unlock_max in " + config.Path + ".",
		helper.ConfigRefused:  `As root, run "immutectl unlock --ignore-config", correct ` + config.Path + `, or remove it to use the defaults, and lock again.`,
	}
}

func limitHints() map[string]string {
	return map[string]string{
		"EDQUOT": `A quota is used up. Delete something, or raise the quota ("sudo btrfs qgroup show /" and "sudo quota" show it), then try again.`,
		"ENOSPC": `The disk is full. Delete something, then try again; "btrfs filesystem usage /" shows what is left.`,
		"EMFILE": `This program may not open more files. Raise the limit ("ulimit -n" shows it), then try again.`,
		"ENFILE": "All programs together have too many files open. Close some of them, then try again.",
	}
}

func authorizationHints(d distribution.Distribution) map[AuthorizationKind]string {
	const useSudo = `You can also run "sudo immutectl lock" or "sudo immutectl unlock".`
	install := "Install pkexec, which is part of polkit. "
	if command := d.Install(distribution.Pkexec); command != "" {
		install = `Install pkexec with "sudo ` + command + `". `
	}
	return map[AuthorizationKind]string{
		AuthorizationFailed:      useSudo,
		NotAuthorized:            "The password was wrong, or the rules of this computer do not allow it.",
		NoAgent:                  "Start the polkit agent of your desktop. " + useSudo,
		NoPolkit:                 `Start it with "sudo systemctl start polkit". ` + useSudo,
		PkexecMissing:            install + useSudo,
		PkexecPowerless:          "Programs started here can't become root, because this is a container or a sandbox, or because pkexec has lost its setuid bit. " + useSudo,
		PkexecRefusedEnvironment: useSudo,
		HelperMissing:            "Install the package again.",
		HelperUnusable:           "Install the package again.",
		OtherVersion:             "Immutray was updated while it was running. Log out and in again; if that does not help, install it again.",
	}
}
