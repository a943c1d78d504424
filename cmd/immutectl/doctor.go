package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/doctor"
	"immutray.org/helper/text"
)

// machineFacts looks at the machine that we run on.
func machineFacts(ctx context.Context, c config.Config, file string) doctor.Facts {
	return doctor.Here(c, file).Gather(ctx)
}

// A factFinder looks at a machine, with the configuration out of a file.
type factFinder func(ctx context.Context, c config.Config, file string) doctor.Facts

func (a *app) doctorCommand(gather factFinder) *cobra.Command {
	var asJSON, asScript bool
	cmd := &cobra.Command{
		Use: "doctor [--json | --script]",

		DisableFlagsInUseLine: true,

		Short: "Show whether this computer is ready to be locked",
		Long: `Show whether this computer is ready to be locked: what was found, why it matters, and the
commands that mend it. This changes nothing. Root sees more, but only a user of the
desktop sees the tray and the polkit agent. The doctor prints no commands that could leave
a computer that does not start.

Exit status:
  0  ready, perhaps with warnings
  1  not ready
  6  the FILE of --config was refused`,
		Example: `  immutectl doctor
  immutectl doctor --json
  immutectl doctor --script >/run/mend`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && asScript {
				return usageFailure(cmd.CommandPath(), errors.New("--json and --script cannot be used together"))
			}
			return a.doctor(cmd.Context(), gather, asJSON, asScript)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&asScript, "script", false, "print only the commands for rescue mode")
	return cmd
}

func (a *app) doctor(ctx context.Context, gather factFinder, asJSON, asScript bool) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	file := a.configFile
	if file == "" {
		file = config.Path
	}
	r := doctor.Examine(gather(ctx, c, file))
	f := &failure{code: helper.ExitDone}
	if !r.Ready {
		f.code = helper.ExitFailed
	}
	if asJSON {
		if err := a.printJSON(r, false); err != nil {
			return err
		}
		return f
	}
	if asScript {
		if err := a.print(doctorScript(r)); err != nil {
			return err
		}
		return f
	}
	if err := a.print(doctorText(r, a.color)); err != nil {
		return err
	}
	for _, unseen := range r.Unseen {
		a.printNotice("could not see " + unseen)
	}
	f.hints = doctorHints(r, a.root)
	return f
}

// doctorHints says how to use the commands of a report.
func doctorHints(r doctor.Report, root bool) []string {
	var hints []string
	if slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return len(f.Mend) > 0 }) {
		hints = append(hints, "Run the commands as root, in this order. Commands in parentheses stop at the first that fails, and take back what they did.")
	}
	if slices.ContainsFunc(r.Findings, forRescue) {
		hints = append(hints,
			`Make a backup. Run the commands that give a directory a subvolume in rescue mode ("systemctl rescue"): "immutectl doctor --script >/run/mend" writes them to a file, and "sh /run/mend" runs it. Then restart the computer at once.`,
			"The old content of such a directory stays in it, hidden below the new mount, and still takes up space.",
		)
	}
	if len(r.Unseen) > 0 && !root {
		hints = append(hints, `Run "sudo immutectl doctor" as well: root sees more.`)
	}
	return hints
}

// forRescue reports whether the commands of a finding belong into rescue mode.
func forRescue(f doctor.Finding) bool { return len(f.Mend) > 0 && f.Restart }

// doctorScript is what mends the layout, for a shell in rescue mode.
func doctorScript(r doctor.Report) string {
	var b strings.Builder
	b.WriteString("set -e\n")
	for _, f := range r.Findings {
		if forRescue(f) {
			fmt.Fprintf(&b, "\n# %s\n%s\n", text.Visible(f.What), strings.Join(f.Mend, "\n"))
		}
	}
	return b.String()
}
