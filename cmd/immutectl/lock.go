package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

// Bounds of --wait.
const (
	shortestWait = time.Second
	longestWait  = 24 * time.Hour
)

func (a *app) lockCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:         "lock",
		Args:        noArguments,
		Annotations: map[string]string{changesSystem: ""},
		Short:       "Make the protected paths read-only",
		Long: `Make the protected paths read-only. No program is stopped: one that has a file
open for writing there keeps that path from being locked, and is listed.

With --wait it tries again until such programs, or a package manager, are done, or
the time is over; Ctrl-C ends the wait, and leaves everything as it is then.

With --force it locks although programs are writing: nothing new can be opened
then, but what is open stays so. Such programs may crash, or lose what is not
saved. It asks for an administrator's password, and refuses as long as a package
manager is at work.

Exit status:
  0  locked, or so already; with --force, as far as that goes
  1  failed, cancelled at the password prompt, or the wait was ended
  2  the command line was not understood
  3  blocked: something is open for writing
  4  a directory that must stay writable would become read-only
  5  a package manager is at work
  6  a protected path is not one on this computer, or the FILE of --config was refused`,
		Example: `  immutectl lock
  immutectl lock --wait 2m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			waits := cmd.Flags().Changed("wait")
			switch {
			case waits && force:
				return usageFailure(cmd.CommandPath(), errors.New("--wait and --force contradict each other"))
			case waits && (a.wait < shortestWait || a.wait > longestWait):
				return usageFailure(cmd.CommandPath(), fmt.Errorf("--wait must be between %s and %s", config.Short(shortestWait), config.Short(longestWait)))
			case waits:
				return a.waitToLock(cmd.Context())
			case force:
				return a.change(cmd.Context(), helper.Request{Verb: helper.LockForce})
			}
			return a.change(cmd.Context(), helper.Request{Verb: helper.Lock})
		},
	}
	cmd.Flags().DurationVar(&a.wait, "wait", 0, "try again until it works, for `TIME`, such as 2m or 1h")
	cmd.Flags().BoolVar(&force, "force", false, "lock although programs are writing")
	return cmd
}
