package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how locked each protected path is",
		Long: `Show how locked each protected path is, layer by layer. Needs no root.

Exit status:
  0  the state could be read, whatever it is
  1  the state of a path could not be read
  6  the configuration was refused`,
		Example: `  immutectl status
  immutectl status --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.status(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) status(asJSON bool) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	s := a.state(c).Read()
	if asJSON {
		err = a.printJSON(neverNull(s), false)
	} else {
		err = a.print(statusText(s, a.now(), a.color))
	}
	if err != nil {
		return err
	}
	if names, _ := unread(s); len(names) > 0 {
		// The cause of each stands in what was just printed.
		return a.unreadFailure("cannot read the state of " + enumerate(names))
	}
	return nil
}

func (a *app) isLockedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "is-locked",
		Short: "Tell scripts whether the system is locked",
		Long: `Tell scripts, by the exit status alone, whether the system is locked.
It prints nothing unless that can't be told. Needs no root.

Exit status:
  0  every protected path is locked
  1  one is not, or its state could not be read (then an error says why)
  6  the configuration was refused`,
		Example: `  immutectl is-locked || immutectl lock`,
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return a.isLocked() },
	}
}

func (a *app) isLocked() error {
	c, err := a.config()
	if err != nil {
		return err
	}
	s := a.state(c).Read()
	switch s.State {
	case helper.Locked:
		return nil
	case helper.Unknown:
		_, causes := unread(s)
		return a.unreadFailure("cannot tell whether the system is locked: " + strings.Join(causes, "; "))
	}
	return &failure{code: helper.ExitFailed}
}

// unread returns the paths whose state could not be read, and the cause of each.
func unread(s helper.Status) (names, causes []string) {
	for _, p := range s.Paths {
		if p.State == helper.Unknown {
			names = append(names, p.Path)
			causes = append(causes, p.Error)
		}
	}
	return names, causes
}

func (a *app) unreadFailure(message string) *failure {
	file := a.configFile
	if file == "" {
		file = config.Path
	}
	return &failure{
		code:  helper.ExitFailed,
		err:   errors.New(message),
		hints: []string{"Set the protected paths in " + quote(file) + "."},
	}
}
