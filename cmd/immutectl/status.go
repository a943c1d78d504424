package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/text"
)

func (a *app) statusCommand() *cobra.Command {
	var form statusForm
	cmd := &cobra.Command{
		Use: "status [--json | --prometheus [--output FILE]]",

		DisableFlagsInUseLine: true,

		Short: "Show how locked each protected path is",
		Long: `Show how locked each protected path is, layer by layer.

Exit status:
  0  the state could be read, whatever it is
  1  the state of a path could not be read, or FILE could not be written
  6  the FILE of --config was refused`,
		Example: `  immutectl status
  immutectl status --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := form.check(cmd.CommandPath()); err != nil {
				return err
			}
			return a.status(form)
		},
	}
	cmd.Flags().BoolVar(&form.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&form.prometheus, "prometheus", false, "print metrics for node_exporter's textfile collector")
	cmd.Flags().StringVar(&form.output, "output", "", "with --prometheus, write the metrics to `FILE`, which is replaced atomically")
	cmd.RegisterFlagCompletionFunc("output", completeFiles)
	return cmd
}

// statusForm is the form in which the status is printed.
type statusForm struct {
	json, prometheus bool
	output           string // "" is standard output
}

func (f statusForm) check(command string) error {
	switch {
	case f.json && f.prometheus:
		return usageFailure(command, errors.New("--json and --prometheus cannot be used together"))
	case f.output != "" && !f.prometheus:
		return usageFailure(command, errors.New("--output needs --prometheus"))
	}
	return nil
}

func (a *app) status(form statusForm) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	s := a.state(c).Read()
	switch {
	case form.json:
		err = a.printJSON(forJSON(s), false)
	case form.prometheus:
		err = a.exportMetrics(metrics(s, a.lastSeal(c), a.now()), form.output)
	default:
		err = a.print(statusText(s, a.now(), a.color, a.clock))
		if r, is := within(s); is {
			a.printNotice(fmt.Sprintf("this is what %s (pid %d) sees, which may write; for everything else the system is locked", text.Quote(r.Program()), r.PID))
		}
	}
	if err != nil {
		return err
	}
	if names, _ := unread(s); len(names) > 0 {
		// What was just printed has the cause of each.
		return a.unreadFailure(s, "cannot read the state of "+enumerate(names))
	}
	return nil
}

func (a *app) isLockedCommand() *cobra.Command {
	return &cobra.Command{
		Use: "is-locked",

		DisableFlagsInUseLine: true,

		Short: "Tell a script whether the system is locked",
		Long: `Tell a script, by the exit status alone, whether the system is locked. Nothing is printed
unless the state can't be read or the configuration is refused.

Exit status:
  0  every protected path is locked
  1  one is not, or its state could not be read (then an error says why)
  6  the FILE of --config was refused`,
		Example: `  immutectl is-locked || immutectl lock`,
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return a.isLocked() },
	}
}

func (a *app) isLocked() error {
	c, err := a.usedConfig()
	if err != nil {
		return err
	}
	s := a.state(c).Read()
	switch s.State {
	case helper.Locked:
		return nil
	case helper.Unknown:
		_, causes := unread(s)
		return a.unreadFailure(s, "cannot tell whether the system is locked: "+strings.Join(causes, "; "))
	}
	return &failure{code: helper.ExitFailed}
}

// unread returns the paths whose state could not be read, and the cause of each.
func unread(s helper.Status) (names, causes []string) {
	for _, p := range s.Paths {
		if p.State == helper.Unknown {
			names = append(names, p.Path)
			causes = append(causes, text.Because(errors.New(p.Error)).Error())
		}
	}
	return names, causes
}

func (a *app) unreadFailure(s helper.Status, message string) *failure {
	hidden := func(p helper.PathStatus) bool { return p.State == helper.Unknown && p.OnTop != "" }
	if !a.root && slices.ContainsFunc(s.Paths, hidden) {
		return &failure{code: helper.ExitFailed, err: errors.New(message), hints: []string{`Run "sudo immutectl status".`}}
	}
	file := a.configFile
	if file == "" {
		file = config.Path
	}
	return &failure{
		code:  helper.ExitFailed,
		err:   errors.New(message),
		hints: []string{"Set the protected paths in " + text.Quote(file) + "."},
	}
}
