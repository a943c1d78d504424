package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"immutray.org/helper"
)

// Bounds of --wait.
const (
	shortestWait = time.Second
	longestWait  = 24 * time.Hour
)

func (a *app) lockCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:  "lock [--wait TIME | --force]",
		Args: noArguments,

		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{changesSystem: ""},
		Short:                 "Make the protected paths read-only",
		Long: `Make the protected paths read-only. This stops no program. If a program has a file open
for writing on a path, that path is not locked, and the program is listed.

With --wait, immutectl tries again until such programs, or a package manager, are done,
or until the time is over. Ctrl-C ends the wait.

With --force, immutectl locks although programs are writing. They can open no more files
for writing, but the files that they have open stay open, and they may crash or lose
unsaved data. This asks for an administrator's password, and is refused while a package
manager is running.

Exit status:
  0  locked, or was locked already; with --force, locked as far as open files allow
  1  failed, cancelled at the password prompt, or the wait was ended
  2  the command line was not understood
  3  blocked: something is open for writing
  4  a directory that must stay writable would become read-only
  5  a package manager is running, or a command of "immutectl run"
  6  a path does not fit this computer, or the FILE of --config was refused`,
		Example: `  immutectl lock
  immutectl lock --wait 2m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			waits := cmd.Flags().Changed("wait")
			switch {
			case waits && force:
				return usageFailure(cmd.CommandPath(), errors.New("--wait and --force cannot be used together"))
			case waits:
				if err := checkTime("--wait", a.wait, shortestWait, longestWait); err != nil {
					return usageFailure(cmd.CommandPath(), err)
				}
				return a.waitToLock(cmd.Context())
			case force:
				return a.change(cmd.Context(), helper.Request{Verb: helper.LockForce})
			}
			return a.lockNow(cmd.Context())
		},
	}
	cmd.Flags().Var(timeFlag{&a.wait}, "wait", "keep trying for `TIME`, such as 2m or 1h")
	cmd.RegisterFlagCompletionFunc("wait", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"1m", "2m", "5m", "15m", "1h"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	})
	cmd.Flags().BoolVar(&force, "force", false, "lock although programs are writing")
	return cmd
}
