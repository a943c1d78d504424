package server

import (
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"

	"immutray.org/helper"
)

// pkexecUID returns the variable of the environment in which pkexec says who asks, nil
// where it is not set.
func pkexecUID() *string {
	if value, ok := os.LookupEnv("PKEXEC_UID"); ok {
		return &value
	}
	return nil
}

// callerUID returns who asks: pkexec's caller, else root. pkexec alone can set the
// variable, but the number is used for the record only, never to decide.
func callerUID(pkexecUID *string) (uint32, error) {
	if pkexecUID == nil {
		return 0, nil
	}
	uid, err := strconv.ParseUint(*pkexecUID, 10, 32)
	// The largest number means "no user" to the kernel (chown(2), setreuid(2)).
	if err != nil || uid == math.MaxUint32 {
		return 0, fmt.Errorf("cannot tell who asks: PKEXEC_UID is %s", helper.QuoteArgument(*pkexecUID))
	}
	return uint32(uid), nil
}

// userName returns the name of uid in /etc/passwd, else the number. Built without cgo, the
// program asks no other source.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// fitForUser refuses what only root may ask for: pkexec passes on every argument after the
// first, and for an administrator's password it runs any first argument.
func fitForUser(call helper.CommandLine) error {
	switch {
	case call.Config != "":
		return helper.UsageError("cannot choose a configuration: only root may")
	case call.IgnoreConfig:
		return helper.UsageError("cannot ignore the configuration: only root may")
	case call.Work:
		return helper.UsageError("cannot use --work: only units may")
	case call.AfterRun:
		return helper.UsageError("cannot use --after-run: only root may")
	case call.Verb.AtBoot():
		return helper.UsageError("cannot " + string(call.Verb) + ": only the boot may")
	}
	return nil
}
