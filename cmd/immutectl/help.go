package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// usage prints the part of a help text that follows its description. Cobra's own
// wants text/template, and calls the one way to use immutectl two.
func usage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", line)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s  %s\n", cmd.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExample:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableFlags() { // which adds those of the parents to cmd's own
		describeConfig(cmd)
		fmt.Fprintf(w, "\nOptions:\n%s", cmd.Flags().FlagUsages())
	}
	return nil
}

// withoutConfig marks the commands for which --config means nothing.
const withoutConfig = "without a configuration"

// describeConfig has the help name --config only where it means something, and say who may use
// it. Every command takes it, because it may come before the command.
func describeConfig(cmd *cobra.Command) {
	config := cmd.Flags().Lookup("config")
	if _, is := cmd.Annotations[withoutConfig]; is {
		config.Hidden = true
	}
	if _, is := cmd.Annotations[changesSystem]; is {
		config.Usage += " (only root)"
	}
}

// helpCommand is cobra's, except that an unknown topic is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]",

		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{withoutConfig: ""},
		Short:                 "Show the help of a command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) == 0 {
				return topic.Help()
			}
			return knownCommand(cmd.Root(), args)
		},
	}
}
