package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/packagemanager"
	"immutray.org/helper/reserves"
	"immutray.org/helper/run"
	"immutray.org/helper/run/namespace"
	"immutray.org/helper/text"
)

func (a *app) runCommand() *cobra.Command {
	var r helper.Run
	cmd := &cobra.Command{
		Use: "run [--reason TEXT] [--system-wide] [--even-so] [--ignore-config] -- COMMAND…",

		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{changesSystem: ""},
		Short:                 "Run a command that can write while the system stays locked",
		Long: `Run a command that can write to the protected paths, while they stay read-only for
everything else. Only root may run a command. However the command ends, even killed, its
write access is gone within a second. Shutdown and sleep wait for it. Before it runs a
package manager, immutectl warns of a low battery and of a disk that is nearly full.

Only the command can write. Services that it starts or restarts, and systemd itself, still
see a read-only system. If they have to write, --system-wide unlocks the whole system while
the command runs.

If others could write too, because the whole file system is mounted writable somewhere,
immutectl names that mount and does not run the command. --even-so runs it nevertheless.
Root can always enter the mounts of the command, for instance through /proc/PID/root.
"immutectl lock --force" takes the write access away from a running command.

Exit status: that of the command, 128 and the number of the signal that killed it, or
  1  failed, or the system could not be locked again
  2  the command line was not understood
  3  --system-wide: blocked, something is open for writing; Immutray keeps trying to lock
  4  a directory that must stay writable would become read-only
  5  --system-wide: a package manager is running; Immutray keeps trying to lock
  6  the configuration was refused
  126, 127  the command can't be executed, or was not found`,
		Example: `  sudo immutectl run -- apt upgrade
  sudo immutectl run --reason "new kernel" --system-wide -- apt full-upgrade`,
		ValidArgsFunction: completePrograms,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageFailure(cmd.CommandPath(), errors.New("the command to run is missing"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkReason(cmd, r.Reason); err != nil {
				return err
			}
			r.Reason, _ = helper.CleanReason(r.Reason) // which has just been checked
			r.Command = args
			if err := a.checkIgnore(cmd, r.IgnoreConfig); err != nil {
				return err
			}
			return a.runAsRoot(cmd.Context(), r)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the command is the command's
	cmd.Flags().StringVar(&r.Reason, "reason", "", "record why, in a `TEXT` of at most 200 characters")
	cmd.Flags().BoolVar(&r.EvenSo, "even-so", false, "run it although others can write through another mount")
	cmd.Flags().BoolVar(&r.IgnoreConfig, "ignore-config", false, "run it although the configuration is refused")
	cmd.Flags().BoolVar(&r.SystemWide, "system-wide", false, "unlock the whole system while the command runs")
	cmd.RegisterFlagCompletionFunc("reason", cobra.NoFileCompletions)
	return cmd
}

func (a *app) runAsRoot(ctx context.Context, r helper.Run) error {
	if !a.root {
		return a.failed(helper.ExitFailed, fmt.Errorf("cannot run a command: %w", helper.ErrRootOnly))
	}
	c, err := a.acceptedConfig(r.IgnoreConfig)
	if err != nil {
		return err
	}
	r.ID, r.Since, r.User, r.PID = helper.NewID(), time.Now(), "root", os.Getpid()
	if packagemanager.IsNamed(r.Command) {
		for _, short := range reserves.Short(ctx, c.Paths) {
			a.printNotice(short)
		}
	}
	var said []string
	runner := &run.Runner{
		Config:   c,
		Mounts:   namespace.OfMachine(),
		Guardian: func() *exec.Cmd { return run.Guardian(a.helperFile, a.configFile) },
		Unlocked: func(r *helper.Result) {
			if len(r.Notices) == 0 {
				a.printNotice("the system is already unlocked, and stays unlocked")
			}
			for _, notice := range r.Notices {
				a.printNotice(notice)
			}
			said = r.Notices
		},
	}
	end, err := runner.Run(r)
	if end.Result != nil {
		for _, notice := range end.Result.Notices {
			if !slices.Contains(said, notice) {
				a.printNotice(notice)
			}
		}
	}
	return a.ended(end, err)
}

// ended is the failure that a command's end comes to. Its exit code is that of immutectl, unless
// all went well with the command, but not with the lock.
func (a *app) ended(end run.End, err error) error {
	var interrupted *run.InterruptedError
	switch {
	case errors.As(err, &interrupted):
		return &failure{code: end.Code, err: errCancelled}
	case err != nil:
		return a.failed(end.Code, err)
	case errors.As(end.Err, &interrupted):
		return &failure{code: end.Code, hints: []string{`The lock is still running. Run "immutectl status" to see the state.`}}
	case end.Err != nil:
		return a.failed(max(end.Code, helper.ExitFailed), fmt.Errorf("cannot lock again: %w", text.Because(end.Err)))
	case end.Result == nil || end.Result.Outcome == helper.Done:
		if end.Code == 0 {
			return nil
		}
		return &failure{code: end.Code}
	}
	f := a.failed(end.Result.Outcome.ExitCode(), end.Result.Err())
	if end.Code != 0 {
		f.code = end.Code
	}
	if len(end.Result.Writers) > 0 {
		f.detail = writersTable(end.Result.Writers, end.Result.MoreWriters)
	}
	return f
}

// within returns the command of "immutectl run" in whose mount namespace this process is,
// and whether there is one: then s is what that command sees.
func within(s helper.Status) (around helper.Run, is bool) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/mnt", &st); err != nil {
		return around, false
	}
	i := slices.IndexFunc(s.Runs, func(r helper.Run) bool { return r.Namespace == st.Ino })
	if i < 0 {
		return around, false
	}
	return s.Runs[i], true
}

// exceptRuns names the commands that alone can write.
func exceptRuns(s helper.Status) string {
	if s.State != helper.Locked || len(s.Runs) == 0 {
		return ""
	}
	names := make([]string, len(s.Runs))
	for i, r := range s.Runs {
		names[i] = fmt.Sprintf("%s (pid %d)", text.Quote(r.Program()), r.PID)
	}
	return " for all but " + strings.Join(names, ", ")
}

// runWords describes a command that runs.
func runWords(r helper.Run, clock text.Clock) string {
	words := fmt.Sprintf("%s (pid %d) since %s", text.CommandLine(r.Command, helper.MaxCommand), r.PID, clock.Minute(r.Since))
	return words + byWhom(&helper.Window{UID: r.UID, User: r.User, Reason: r.Reason})
}
