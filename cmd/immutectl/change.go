package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/config"
	"immutray.org/helper/text"
)

// errCancelled is a request that the person cancelled.
var errCancelled = errors.New("cancelled")

func (a *app) unlockCommand() *cobra.Command {
	r := helper.Request{Verb: helper.Unlock}
	var length windowLength
	cmd := &cobra.Command{
		Use: "unlock [TIME | --for TIME | --until CLOCK | --until-locked] [--reason TEXT] [--ignore-config]",

		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{changesSystem: ""},
		Short:                 "Make the protected paths writable for a while",
		Long: `Make the protected paths writable, and lock them again when the time is over: after an
hour, unless the configuration or TIME says otherwise. This asks for an administrator's
password. Unlocking again restarts the timer; only a time that you give can make the
window shorter. The reason is shown while the system is unlocked, and by "immutectl
history".

TIME is a number with its unit, such as 90s, 30m, "1h 30m" or 3d; a number alone is
minutes. CLOCK is a time of day, such as 18:00 or 6pm, today or tomorrow.

If the configuration is refused, only root can unlock, with --ignore-config. This unlocks
the paths of the last good configuration, or else those of the default.

Exit status:
  0  unlocked, or was unlocked already
  1  failed, or cancelled at the password prompt
  2  the command line was not understood, or asks for longer than is allowed
  6  the configuration was refused`,
		Example: `  immutectl unlock
  immutectl unlock 30m --reason "new kernel"
  immutectl unlock --until 18:00
  immutectl unlock --until-locked`,
		ValidArgsFunction: completeTimes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkReason(cmd, r.Reason); err != nil {
				return err
			}
			if err := a.checkIgnore(cmd, r.IgnoreConfig); err != nil {
				return err
			}
			if err := a.setWindow(cmd, &r, length, strings.Join(args, " ")); err != nil {
				return err
			}
			return a.change(cmd.Context(), r)
		},
	}
	cmd.Flags().Var(timeFlag{&length.time}, "for", "lock again after `TIME`, such as 30m or 2h")
	cmd.Flags().StringVar(&length.until, "until", "", "lock again at `CLOCK`, such as 18:00")
	cmd.Flags().BoolVar(&r.UntilLocked, "until-locked", false, "stay unlocked until someone locks")
	cmd.Flags().BoolVar(&r.IgnoreConfig, "ignore-config", false, "unlock although the configuration is refused (only root)")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "record why, in a `TEXT` of at most 200 characters")
	cmd.RegisterFlagCompletionFunc("for", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { return offeredTimes() })
	cmd.RegisterFlagCompletionFunc("until", a.completeClock)
	cmd.RegisterFlagCompletionFunc("reason", cobra.NoFileCompletions)
	return cmd
}

// checkReason refuses what the helper would refuse, before anyone is asked for a password.
func checkReason(cmd *cobra.Command, reason string) error {
	clean, err := helper.CleanReason(reason)
	if err == nil && clean == "" && cmd.Flags().Changed("reason") {
		err = errors.New("--reason is empty")
	}
	if err != nil {
		return usageFailure(cmd.CommandPath(), err)
	}
	return nil
}

// A windowLength is how long to unlock, as the options say it.
type windowLength struct {
	time  time.Duration // of --for
	until string        // of --until
}

// setWindow sets how long to unlock, from the options or the argument, and refuses what the
// helper would refuse.
func (a *app) setWindow(cmd *cobra.Command, r *helper.Request, length windowLength, argument string) error {
	name, err := theOneOf(map[string]bool{
		"--for": cmd.Flags().Changed("for"), "--until": cmd.Flags().Changed("until"),
		"--until-locked": r.UntilLocked, "the time": argument != "",
	})
	switch {
	case err != nil:
	case name == "":
		return nil
	case name == "--for":
		r.For = length.time
	case name == "--until":
		r.For, err = readUntil(length.until, a.now())
	case name == "the time":
		r.For, err = readTime(argument)
	}
	if err == nil && name != "--until-locked" {
		err = checkTime(name, r.For, helper.ShortestWindow, helper.LongestWindow)
	}
	if err != nil {
		return usageFailure(cmd.CommandPath(), err)
	}
	c, err := a.loadConfig(a.configFile)
	if err != nil || c.Refused != nil {
		return nil // acceptedConfig reports it
	}
	if err := c.Allows(r.For); err != nil { // 0 is until locked
		return a.failed(helper.ExitUsage, err)
	}
	return nil
}

// theOneOf returns which of these was given, "" for none, and refuses several.
func theOneOf(given map[string]bool) (string, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "", nil
	case 1:
		return names[0], nil
	}
	return "", errors.New(text.List(names) + " cannot be used together")
}

// checkIgnore refuses --ignore-config where the helper would.
func (a *app) checkIgnore(cmd *cobra.Command, ignore bool) error {
	switch {
	case ignore && !a.root:
		return usageFailure(cmd.CommandPath(), errors.New("--ignore-config needs root"))
	case ignore && a.configFile != "":
		return usageFailure(cmd.CommandPath(), errors.New("--config and --ignore-config cannot be used together"))
	}
	return nil
}

// change sends a request to the helper and prints the result. The state that it prints is
// what the helper has read back, also after a failure half way.
func (a *app) change(ctx context.Context, r helper.Request) error {
	// Also so that a refusal names the file of the command line, with the right hint.
	load := a.config
	if r.Verb == helper.Unlock {
		load = func() (config.Config, error) { return a.acceptedConfig(r.IgnoreConfig) }
	}
	if _, err := load(); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	result, err := a.requester().Do(ctx, r)
	return a.printResult(ctx, result, err)
}

// printResult prints how a request ended, and returns the failure if it failed.
func (a *app) printResult(ctx context.Context, result *helper.Result, err error) error {
	if result == nil {
		return a.noResult(ctx, err)
	}
	printing := a.print(resultText(result, a.clock))
	for _, notice := range result.Notices {
		a.printNotice(notice)
	}
	var failed *failure
	if err == nil && len(result.Writers) > 0 { // by force
		a.printNotice("these programs may crash or lose unsaved data")
		fmt.Fprint(a.stderr, writersTable(result.Writers, result.MoreWriters))
	}
	switch {
	case err != nil:
		failed = a.failed(result.Outcome.ExitCode(), err)
		if len(result.Writers) > 0 {
			failed.detail = writersTable(result.Writers, result.MoreWriters)
		}
		return failed
	case errors.As(printing, &failed):
		// The change is made; what can't be printed does not undo it.
		failed.code = helper.ExitDone
		return failed
	}
	return nil
}

// noResult is the failure of a request that the helper did not answer.
func (a *app) noResult(ctx context.Context, err error) error {
	dismissed := errors.Is(err, client.ErrCancelled) && !errors.Is(err, client.ErrNoDialog)
	// Ctrl-C reaches pkexec as well: which of the two ends first is chance.
	interrupted := ctx.Err() != nil && !errors.Is(err, client.ErrNoResult)
	if dismissed || interrupted {
		return &failure{code: helper.ExitFailed, err: errCancelled}
	}
	return a.failed(helper.ExitFailed, err)
}

// endBefore says when the window would have ended before the request, "" when there was none.
func endBefore(before *helper.Status, clock text.Clock) string {
	switch {
	case before == nil || before.Window == nil:
		return ""
	case before.Window.Until == nil:
		return "without an end"
	}
	return clock.Minute(*before.Window.Until)
}

// resultText is the state after the request. It is empty if the helper did not read it.
func resultText(r *helper.Result, clock text.Clock) string {
	if r.Status == nil {
		return ""
	}
	text := stateText(*r.Status)
	if r.Outcome != helper.Done {
		return text
	}
	if r.Before != nil && slices.Equal(r.Before.Paths, r.Status.Paths) {
		text = "Already " + strings.ToLower(text[:1]) + text[1:]
	}
	if r.Request.Verb == helper.Unlock && r.Status.State == helper.Unlocked {
		text = strings.TrimSuffix(text, "\n") + " " + lockWords(r.Status.Window, endBefore(r.Before, clock), clock) + "\n"
	}
	return text
}
