package main

import (
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"immutray.org/helper/inhibit"
)

// inhibitCommand is what immutray-inhibit.service runs for a window.
func (a *app) inhibitCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "inhibit",
		Args:   noArguments,
		Hidden: true, // it is of use to that unit alone
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGTERM)
			defer stop()
			inhibit.WhileUnlocked(ctx, c)
			return nil
		},
	}
}
