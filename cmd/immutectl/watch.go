package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"immutray.org/helper"
)

func (a *app) watchCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "watch [--json]",

		DisableFlagsInUseLine: true,

		Short: "Print a line whenever the state changes",
		Long: `Print the state, and a line whenever it changes, until interrupted or until the output is
closed. A change that Immutray did not make, for instance with "btrfs property set", may
take 10 seconds to show.

Exit status:
  0  ended by Ctrl-C, by SIGTERM, or because the output was closed
  1  failed
  6  the FILE of --config was refused`,
		Example: `  immutectl watch
  immutectl watch --json | jq --unbuffered -r .state`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.watch(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	return cmd
}

func (a *app) watch(ctx context.Context, asJSON bool) error {
	c, err := a.usedConfig()
	if err != nil {
		return err
	}
	ctx, cancel := interruptible(ctx)
	unread := make(chan struct{})
	go func() {
		defer close(unread)
		a.waitUnread(ctx)
		cancel()
	}()
	defer func() {
		cancel()
		<-unread
	}()

	var printing error
	last := ""
	watching := a.state(c).Watch(ctx, func(s helper.Status) {
		if printing != nil {
			return
		}
		switch line := watchLine(s); {
		case asJSON:
			printing = a.printJSON(statusAt{inSeconds(a.now()), forJSON(s)}, true)
		case line != last:
			last = line
			printing = a.print(a.now().Local().Format(time.DateTime) + "  " + line + "\n")
		}
		if printing != nil {
			cancel()
		}
	})
	if printing != nil {
		return printing
	}
	if watching != nil && ctx.Err() == nil {
		return a.failed(helper.ExitFailed, watching)
	}
	return nil
}
