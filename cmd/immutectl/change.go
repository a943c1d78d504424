package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
)

// errCancelled is a request that the person took back.
var errCancelled = errors.New("cancelled")

// changeCommand is "lock" or "unlock".
func (a *app) changeCommand(verb helper.Verb) *cobra.Command {
	cmd := &cobra.Command{
		Use:         string(verb),
		Args:        noArguments,
		Annotations: map[string]string{changesSystem: ""},
		Example:     "  immutectl " + string(verb),
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.change(cmd.Context(), verb) },
	}
	if verb == helper.Lock {
		cmd.Short = "Make the protected paths read-only"
		cmd.Long = `Make the protected paths read-only. No program is stopped: one that has a file
open for writing there keeps that path from being locked, and is listed.

Exit status:
  0  locked, or so already
  1  failed, or cancelled at the password prompt
  2  the command line was not understood
  3  blocked: something is open for writing
  4  a directory that must stay writable would become read-only
  5  a package manager is at work
  6  the configuration was refused`
	} else {
		cmd.Short = "Make the protected paths writable"
		cmd.Long = `Make the protected paths writable until they are locked again. Asks for an
administrator's password.

Exit status:
  0  unlocked, or so already
  1  failed, or cancelled at the password prompt
  2  the command line was not understood
  6  the configuration was refused`
	}
	return cmd
}

// change asks the helper and tells what came of it. The state it prints is what the
// helper has read back, also when it failed half way.
func (a *app) change(ctx context.Context, verb helper.Verb) error {
	if a.configFile != "" {
		// So that a refusal names the file of the command line, with the right hint.
		if _, err := a.config(); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	result, err := a.requester().Do(ctx, verb)
	if result == nil {
		return a.noResult(ctx, err)
	}
	printing := a.print(resultText(result))
	for _, notice := range result.Notices {
		a.printNotice(notice)
	}
	var failed *failure
	switch {
	case err != nil:
		failed = a.failed(result.Outcome.ExitCode(), err)
		if len(result.Writers) > 0 {
			failed.detail = writersTable(result.Writers)
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
	dismissed := errors.Is(err, helper.ErrCancelled) && !errors.Is(err, helper.ErrNoDialog)
	// Ctrl-C reaches pkexec as well: which of the two ends first is chance.
	interrupted := ctx.Err() != nil && !errors.Is(err, helper.ErrNoResult)
	if dismissed || interrupted {
		return &failure{code: helper.ExitFailed, err: errCancelled}
	}
	return a.failed(helper.ExitFailed, err)
}

// resultText says how things stand now. It is empty when the helper did not look.
func resultText(r *helper.Result) string {
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
		text = strings.TrimSuffix(text, "\n") + " Lock again with \"immutectl lock\".\n"
	}
	return text
}
