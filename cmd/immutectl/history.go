package main

import (
	"context"
	"errors"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/history"
	"immutray.org/helper/journal"
	"immutray.org/helper/text"
)

// shownWindows is how many windows are shown when nothing else is asked for.
const shownWindows = 10

func (a *app) historyCommand() *cobra.Command {
	var asJSON bool
	var most int
	cmd := &cobra.Command{
		Use: "history [-n N] [--json]",

		DisableFlagsInUseLine: true,

		Short: "Show when the system was unlocked, by whom and why",
		Long: `Show when the system was unlocked, or a command of "immutectl run" was running: for how
long, by whom and why, and what ended it; the newest first. The history is read from
systemd's journal, which only root and the members of the groups adm and systemd-journal
may read. Everyone else sees the last 10 since the computer was started, without the
reasons of others.

Exit status:
  0  done
  1  the history could not be read
  6  the FILE of --config was refused`,
		Example: `  sudo immutectl history
  sudo immutectl history -n 0 --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 0 {
				return usageFailure(cmd.CommandPath(), errors.New("-n must not be negative"))
			}
			return a.showHistory(cmd.Context(), most, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVarP(&most, "number", "n", shownWindows, "show the last `N`; 0 means all")
	cmd.RegisterFlagCompletionFunc("number", cobra.NoFileCompletions)
	return cmd
}

func (a *app) showHistory(ctx context.Context, most int, asJSON bool) error {
	c, err := a.config() // of interest is only whether it is locked now
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	past, err := a.history(a.configFile, c.StateDir).Read(ctx, most, a.state(c).Read())
	switch {
	case err != nil:
		return a.failed(helper.ExitFailed, err)
	case asJSON:
		return a.printJSON(reportOf(past.Windows), false)
	case len(past.Windows) == 0 && past.Unread != nil:
		return a.print("No unlocks since the computer was started.\n" + unreadWords(past.Unread))
	case len(past.Windows) == 0:
		return a.print("No unlocks in the journal.\n")
	}
	return a.print(historyTable(past.Windows, a.now(), a.clock) + unreadWords(past.Unread))
}

// unreadWords says what is missing when the journal could not be read.
func unreadWords(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, journal.ErrNotAllowed):
		return "\nOnly since the computer was started, without the reasons of others.\n" +
			"For more: sudo immutectl history\n"
	}
	return "\nOnly since the computer was started, without the reasons of others:\n" +
		text.Visible(err.Error()) + ".\n"
}

// historyReport is the JSON of "immutectl history --json".
type historyReport struct {
	Windows []windowReport `json:"windows"`
}

type windowReport struct {
	helper.Window
	// End is how it ended: open, person, timer, seal, shutdown, crash, unseen, run; others
	// may be added.
	End string `json:"end"`
	// Ended and LastedSeconds are null while it is open, and when that is not known.
	Ended         *time.Time `json:"ended"`
	LastedSeconds *int64     `json:"lasted_seconds"`
	LockedBy      string     `json:"locked_by"` // "" when no lock has ended it
	// Command is what alone could write; "" when the system was unlocked.
	Command string `json:"command"`
	// Sealed is true when the next boot locked what was still open.
	Sealed bool `json:"sealed"`
}

func reportOf(windows []history.Window) historyReport {
	report := historyReport{Windows: []windowReport{}}
	for _, w := range windows {
		r := windowReport{Window: windowForJSON(w.Window), End: string(w.End), LockedBy: w.LockedBy, Command: w.Command, Sealed: w.Sealed}
		if w.End == history.Open {
			r.End = "open"
		}
		if !w.Ended.IsZero() {
			ended, lasted := inSeconds(w.Ended), int64(w.Lasted/time.Second)
			r.Ended, r.LastedSeconds = &ended, &lasted
		}
		report.Windows = append(report.Windows, r)
	}
	return report
}

// historyTable has a line per window.
func historyTable(windows []history.Window, now time.Time, clock text.Clock) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { t.Write([]byte(strings.Join(cells, "\t") + "\n")) }
	line("SINCE", "LASTED", "BY", "ENDED", "REASON")
	for _, w := range windows {
		lasted, reason := "-", "-"
		switch {
		case w.End == history.Open:
			lasted = shortly(now.Sub(w.Since)) // a clock that was set back makes it 0
		case !w.Ended.IsZero():
			lasted = shortly(w.Lasted)
		}
		if why := w.Why(); why != "" {
			reason = text.Visible(why)
		}
		line(clock.Minute(w.Since), lasted, cell(w.User), endWords(w, now, clock), reason)
	}
	t.Flush()
	return b.String()
}

func endWords(w history.Window, now time.Time, clock text.Clock) string {
	words := text.Visible(w.EndWords())
	switch {
	case w.End != history.Open || w.Until == nil:
	case w.Until.After(now):
		words += ", locks at " + clock.Minute(*w.Until)
	default:
		words += ", should have locked at " + clock.Minute(*w.Until)
	}
	return words
}

// shortly rounds a time to whole minutes, or to seconds when it is less than one.
func shortly(d time.Duration) string {
	if d >= time.Minute {
		return text.ExactDuration(d.Truncate(time.Minute))
	}
	return text.ExactDuration(max(0, d).Truncate(time.Second))
}
