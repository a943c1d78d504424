package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/doctor"
)

// machineFacts looks at the machine that we run on.
func machineFacts(ctx context.Context, c config.Config) doctor.Facts {
	return doctor.Here(c).Gather(ctx)
}

func (a *app) doctorCommand(gather func(context.Context, config.Config) doctor.Facts) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell whether this computer is ready to be locked",
		Long: `Tell whether this computer is ready to be locked: what was found, why it matters,
and the commands that mend it. It changes nothing. Needs no root, but root sees more;
the tray and the polkit agent are seen from the desktop.

Exit status:
  0  ready, perhaps with warnings
  1  not ready
  6  the configuration was refused`,
		Example: `  immutectl doctor
  immutectl doctor --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), gather, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) doctor(ctx context.Context, gather func(context.Context, config.Config) doctor.Facts, asJSON bool) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	r := doctor.Examine(gather(ctx, c))
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
		hints = append(hints, "Run the commands as root, in this order.")
	}
	if slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return len(f.Mend) > 0 && f.Restart }) {
		hints = append(hints, `Have a backup. Move directories in rescue mode ("systemctl rescue"), and restart the computer afterwards. What was there before stays beside it as NAME.old.`)
	}
	if len(r.Unseen) > 0 && !root {
		hints = append(hints, `Run "sudo immutectl doctor" as well: root sees more.`)
	}
	return hints
}
