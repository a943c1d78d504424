package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/writers"
)

func (a *app) writersCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "writers [--json]",

		DisableFlagsInUseLine: true,

		Short: "Show which programs keep the system from being locked",
		Long: `Show which programs have a file on a protected path open for writing: they keep the
system from being locked. Only root sees the programs of all users.

A process may hang in such a way that every program that inspects it hangs as well.
immutectl cannot inspect such a process, and lists it because it may be writing.

Exit status:
  0  none was found
  1  the search failed
  3  there are writers
  6  the FILE of --config was refused`,
		Example: `  sudo immutectl writers
  sudo immutectl writers --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.showWriters(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) showWriters(ctx context.Context, asJSON bool) error {
	c, err := a.usedConfig()
	if err != nil {
		return err
	}
	paths := lockstate.For(c).Protected()
	found, err := a.writers.Scan(ctx, paths)
	var incomplete *writers.IncompleteError
	if err != nil && !errors.As(err, &incomplete) {
		return a.failed(helper.ExitFailed, err)
	}
	switch {
	case asJSON:
		report := writersReport{Complete: incomplete == nil, Writers: append([]helper.Writer{}, found...)}
		err = a.printJSON(report, false)
	case len(found) > 0:
		err = a.print(writersTable(found, 0))
	case a.root:
		err = a.print(fmt.Sprintf("Nothing is open for writing on %s.\n", enumerate(paths)))
	default:
		err = a.print(fmt.Sprintf("Your programs have nothing open for writing on %s.\n", enumerate(paths)))
	}
	if err != nil {
		return err
	}
	f := &failure{code: helper.ExitDone}
	if len(found) > 0 {
		f.code = helper.ExitBlocked
	}
	switch {
	case incomplete == nil:
	case a.root:
		a.printNotice(fmt.Sprintf("the list may be incomplete: %v", incomplete))
	default:
		a.printNotice("only your own programs were inspected")
		f.hints = []string{`Run "sudo immutectl writers" to see those of all users.`}
	}
	return f
}
