package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// completionCommand is cobra's in our words.
func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:         "completion SHELL",
		Annotations: map[string]string{withoutConfig: ""},
		Short:       "Print the completions for a shell",
		Long: `Print a script that lets a shell complete the command line of immutectl. SHELL is bash, zsh,
fish or powershell. Packages install these scripts.

Exit status:
  0  done
  1  failed
  2  the command line was not understood`,
		Example: `  source <(immutectl completion bash)
  immutectl completion fish | source`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) != 1:
				return usageFailure(cmd.CommandPath(), errors.New("exactly one shell is needed: "+enumerate(shells)))
			case !slices.Contains(shells, args[0]):
				return usageFailure(cmd.CommandPath(), fmt.Errorf("unknown shell %q: there are completions for %s", args[0], enumerate(shells)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		},
	}
}

// completePrograms offers the programs in PATH for the command of "run"; its arguments are
// files, as far as we know.
func completePrograms(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || strings.Contains(begun, "/") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return programs(os.Getenv("PATH"), begun), cobra.ShellCompDirectiveNoFileComp
}

// programs returns the names of the programs in path that begin so.
func programs(path, begin string) []string {
	var names []string
	for _, dir := range filepath.SplitList(path) {
		entries, _ := os.ReadDir(dir) // a directory that is not there has none
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), begin) && !e.IsDir() && unix.Access(filepath.Join(dir, e.Name()), unix.X_OK) == nil {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// completeFiles offers files, as nothing does that has not asked for them.
func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeDirectories offers directories alone.
func completeDirectories(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}
