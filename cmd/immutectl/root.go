package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

// rootCommand builds the command line. Cobra parses, completes and prints the help;
// errors are ours to print.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "immutectl COMMAND",
		Short: "Lock and unlock the operating system",
		Long: `Lock and unlock the operating system, and see whether it is locked.

Locked means that nothing can change the protected paths, by default / and /etc.

Exit status of every command:
  0  done
  1  failed
  2  the command line was not understood
  6  the configuration was refused
Each command's help lists its other exit codes.`,
		Example: `  immutectl status
  immutectl unlock
  sudo apt upgrade
  immutectl lock`,
		Version:           helper.Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              knownCommand,
		PersistentPreRunE: a.checkFlags,

		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			return usageFailure(cmd.CommandPath(), errors.New("the command is missing"))
		},
	}
	root.SetUsageFunc(usage)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageFailure(cmd.CommandPath(), mistake(err))
	})
	root.Flags().BoolP("version", "v", false, "print the version")
	flags := root.PersistentFlags()
	flags.BoolP("help", "h", false, "print this help")
	flags.StringVar(&a.configFile, "config", "", "read `FILE` instead of "+config.Path)
	flags.StringVar(&a.helperFile, "helper", "", "start `FILE` as the helper (root only)")
	root.RegisterFlagCompletionFunc("config", completeFiles)
	flags.Lookup("helper").Hidden = true // for practice systems and builds that are not installed
	root.AddCommand(
		a.lockCommand(),
		a.unlockCommand(),
		a.runCommand(),
		a.inhibitCommand(),
		a.statusCommand(),
		a.isLockedCommand(),
		a.writersCommand(),
		a.watchCommand(),
		a.historyCommand(),
		a.doctorCommand(machineFacts),
		a.islandCommand(),
		a.configCommand(),
		completionCommand(),
	)
	root.CompletionOptions.DisableDefaultCmd = true // cobra's own, in cobra's words
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetHelpCommand(helpCommand())
	return root
}

// changesSystem marks the commands that make root's helper act.
const changesSystem = "changes the system"

// checkFlags refuses flags that only root may use: the helper would refuse them too,
// but only after the password.
func (a *app) checkFlags(cmd *cobra.Command, _ []string) error {
	_, changes := cmd.Annotations[changesSystem]
	switch {
	case a.configFile != "" && changes && !a.root:
		return usageFailure(cmd.CommandPath(), errors.New("--config needs root"))
	case a.helperFile != "" && !a.root:
		return usageFailure(cmd.CommandPath(), errors.New("--helper needs root"))
	}
	// A relative path is relative to our directory; the helper works in /.
	for _, file := range []*string{&a.configFile, &a.helperFile} {
		if *file == "" {
			continue
		}
		absolute, err := filepath.Abs(*file)
		if err != nil {
			return &failure{code: helper.ExitFailed, err: fmt.Errorf("cannot find %s: %w", *file, err)}
		}
		*file = absolute
	}
	return nil
}

// usageFailure is a command line that can't be understood.
func usageFailure(command string, err error, hints ...string) *failure {
	return &failure{
		code:  helper.ExitUsage,
		err:   err,
		hints: append(hints, `Run "`+command+` --help".`),
	}
}

func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var hints []string
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hints = append(hints, `Did you mean "`+strings.Join(near, `" or "`)+`"?`)
	}
	return usageFailure(cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0]), hints...)
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageFailure(cmd.CommandPath(), fmt.Errorf("unexpected argument %q", args[0]))
}
