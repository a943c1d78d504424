package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
	"immutray.org/helper/swaps"
)

func checkSwap(f Facts) []Finding {
	var found []Finding
	for _, s := range f.Swaps {
		if s.Protected == "" {
			continue
		}
		finding := Finding{
			Severity: Problem, Check: "swap",
			What: "the swap file " + s.File + " is in the subvolume of " + s.Protected,
			Why:  "while it is in use, that subvolume can't be locked",
		}
		root, line := f.protectedPath(s.Protected), f.swapLine(s)
		whyNot := f.fixed(root)
		switch {
		case whyNot != "":
		case f.Resume:
			whyNot = "this computer hibernates to that file, and the boot loader's resume_offset= would have to be changed too"
		case line == nil:
			whyNot = f.Fstab + " has no line for it, and what switches it on would have to be changed too"
		case f.SwapPoint == "":
			whyNot = "no free name was found for a directory to mount its subvolume at"
		}
		f.mendOr(&finding, whyNot, func() string { return f.moveSwap(s, root, *line) })
		found = append(found, finding)
	}
	if found == nil {
		found = []Finding{{Severity: OK, Check: "swap", What: "no swap file is in a protected subvolume", Why: "swap does not block the lock"}}
	}
	return found
}

func (f Facts) swapLine(s Swap) *FstabLine {
	for i, l := range f.Lines {
		if l.Type == "swap" && mount.Unescape(l.Source) == s.File {
			return &f.Lines[i]
		}
	}
	return nil
}

// resume looks whether the machine wakes from hibernation in a swap file: its place on
// the disk is on the kernel command line, or was told to the kernel since.
func (g *gatherer) resume() {
	if words, err := os.ReadFile(filepath.Join(g.Proc, "cmdline")); err == nil && strings.Contains(string(words), "resume_offset=") {
		g.Resume = true
	}
	offset, err := os.ReadFile(filepath.Join(g.Root, "sys/power/resume_offset"))
	if text := strings.TrimSpace(string(offset)); err == nil && text != "0" && text != "" {
		g.Resume = true
	}
}

// swapPoint finds a name for a new directory.
func (g *gatherer) swapPoint() {
	for _, name := range []string{"/swap", "/swap.1", "/swap.2", "/swap.3"} {
		if _, err := os.Lstat(filepath.Join(g.Root, name)); errors.Is(err, fs.ErrNotExist) {
			g.SwapPoint = name
			return
		}
	}
}

// swaps finds the active swap files.
func (g *gatherer) swaps() {
	f, err := os.Open(filepath.Join(g.Proc, "swaps"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // a kernel without swap has none
			g.unseen("swap", "the swap files: %v", err)
		}
		return
	}
	defer f.Close()
	g.resume()
	g.swapPoint()
	files, err := swaps.Read(f)
	if err != nil {
		g.unseen("swap", "the swap files: %v", err)
	}
	for _, file := range files {
		swap := Swap{File: file.Path, KiB: file.KiB}
		var st unix.Stat_t
		real, err := g.resolve(swap.File)
		if err == nil {
			err = unix.Stat(real, &st)
		}
		if err != nil {
			g.unseen("swap", "where the swap file %s is: %v", swap.File, err)
			continue
		}
		for _, p := range g.opened {
			if p.Device == st.Dev {
				swap.Protected = p.Name
			}
		}
		g.Swaps = append(g.Swaps, swap)
	}
}
