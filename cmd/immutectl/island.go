package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/text"
)

// islandScript gives a directory a subvolume of its own.
//
//go:embed island.sh
var islandScript string

func (a *app) islandCommand() *cobra.Command {
	var fstab string
	cmd := &cobra.Command{
		Use: "island DIRECTORY",

		DisableFlagsInUseLine: true,
		Annotations:           map[string]string{changesSystem: ""},
		Short:                 "Give a directory a subvolume of its own",
		Long: `Give a directory a subvolume of its own, so that it stays writable while the system is
locked: the home of a new user, for instance. The directory must be one that the
configuration names in "islands" or "optional_islands", or be in /home or /var. Only root
may use this command.

The content of the directory is copied. The old content stays below the new mount. If the
system is locked, it is unlocked while the command runs.

Exit status:
  0  done, or nothing to do
  1  failed; nothing was changed
  2  the command line was not understood
  3  a program is writing there
  6  the configuration was refused`,
		Example:           "  sudo immutectl island /home/bob",
		ValidArgsFunction: completeDirectories,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageFailure(cmd.CommandPath(), errors.New("exactly one directory is needed"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.island(cmd.Context(), args[0], fstab) },
	}
	cmd.Flags().StringVar(&fstab, "fstab", "/etc/fstab", "add the mount to `FILE`")
	cmd.Flags().Lookup("fstab").Hidden = true // for systems that are not the machine's
	return cmd
}

func (a *app) island(ctx context.Context, name, fstab string) error {
	failed := func(err error) error {
		return a.failed(helper.ExitFailed, fmt.Errorf("cannot give %s a subvolume of its own: %w", text.Quote(name), text.Because(err)))
	}
	if !a.root {
		return &failure{
			code:  helper.ExitFailed,
			err:   fmt.Errorf("cannot give %s a subvolume of its own: %w", text.Quote(name), helper.ErrRootOnly),
			hints: []string{`Run "sudo immutectl island DIRECTORY".`},
		}
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(name)
	if err != nil {
		return failed(err)
	}
	i, err := newIsland(c, dir)
	switch {
	case err != nil:
		return failed(err)
	case i == nil:
		a.printNotice(text.Quote(dir) + " stays writable as it is")
		return nil
	}
	if err := i.mayMove(fstab); err != nil {
		return failed(err)
	}
	if err := a.refuseWriters(ctx, c, dir); err != nil {
		return err
	}
	return a.runAsRoot(ctx, helper.Run{
		SystemWide: true,
		Reason:     "a subvolume for " + dir,
		Command:    []string{"sh", "-c", islandScript, "island.sh", dir, i.source, i.uuid, i.parent, i.name, fstab},
	})
}

// refuseWriters returns a failure that names the programs that have files in a directory
// open for writing: they would go on writing to files that the new mount hides.
func (a *app) refuseWriters(ctx context.Context, c config.Config, dir string) error {
	found, err := a.writers.Scan(ctx, c.Paths)
	found = slices.DeleteFunc(found, func(w helper.Writer) bool { return !strings.HasPrefix(w.Path, dir+"/") })
	switch {
	case err != nil && len(found) == 0:
		a.printNotice("some programs that write there may have been overlooked: " + err.Error())
		return nil
	case len(found) == 0:
		return nil
	}
	return &failure{
		code:   helper.ExitBlocked,
		err:    fmt.Errorf("cannot give %s a subvolume of its own: programs are writing there", text.Quote(dir)),
		detail: writersTable(found, 0),
		hints:  []string{"Close these programs, or have their user log out, then try again."},
	}
}
