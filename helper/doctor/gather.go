package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/cmdline"
	"immutray.org/helper/config"
	"immutray.org/helper/distribution"
	"immutray.org/helper/islands"
	"immutray.org/helper/protected"
)

// A System is what facts are gathered from.
type System struct {
	Config config.Config
	// Root is the directory that the files of the system are below, "/" but for tests.
	Root string
	Proc string // where proc is mounted
	// Mountpoint is an empty directory for commands to mount something at.
	Mountpoint string
	// Session looks at the caller's desktop.
	Session func(context.Context) Session
}

// Here returns the machine that we run on.
func Here(c config.Config) *System {
	return &System{Config: c, Root: "/", Proc: "/proc", Mountpoint: "/mnt", Session: session}
}

// Gather reads the facts. Any user may; what he may not see stands in Facts.Unseen.
func (s *System) Gather(ctx context.Context) Facts {
	g := &gatherer{System: s}
	g.Facts.Mountpoint = s.Mountpoint
	g.Kernel = release()
	g.Distribution = distribution.At(s.Root)
	g.open()
	g.islands()
	g.nested()
	g.swaps()
	g.close()
	g.fstab(ctx)
	g.seal()
	g.relock()
	g.pkexec()
	g.Facts.Session = s.Session(ctx)
	if !g.Facts.Session.Bus {
		g.unseen("tray", "the polkit agent and the tray: no desktop here; run it as yourself, on the desktop")
	}
	return g.Facts
}

type gatherer struct {
	*System
	Facts
	opened []*protected.Path
}

func (g *gatherer) unseen(check, format string, args ...any) {
	g.Blind = append(g.Blind, check)
	what := fmt.Sprintf(format, args...)
	if !slices.Contains(g.Unseen, what) {
		g.Unseen = append(g.Unseen, what)
	}
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func (g *gatherer) open() {
	for _, name := range g.Config.Paths {
		path := Path{Place: g.place("protected-path", name)}
		p, err := protected.Open(name)
		switch {
		case err == nil:
			g.opened = append(g.opened, p)
			state := p.Status().State
			g.Locked = g.Locked || state != helper.Unlocked && state != helper.Unknown
		case errors.Is(err, protected.ErrUnfit):
			path.Unfit = true
		default:
			g.unseen("protected-path", "%s: %v", name, err)
		}
		g.Paths = append(g.Paths, path)
	}
}

func (g *gatherer) close() {
	for _, p := range g.opened {
		p.Close()
	}
}

func (g *gatherer) islands() {
	for _, name := range g.Config.Islands {
		if !slices.Contains(g.Config.AllowReadonly, name) {
			g.Facts.Islands = append(g.Facts.Islands, name)
		}
	}
	found, err := islands.Find(g.Config, g.opened)
	if err != nil {
		g.unseen("writable-island", "all writable islands: %v", err)
		return
	}
	hidden := map[string]string{}
	for _, f := range found.Frozen {
		hidden[f.Path] = f.Why
	}
	for _, name := range g.wholeHome(islands.Paths(found.Frozen)) {
		place := Place{Name: name} // one that is kept elsewhere is better not opened
		if hidden[name] == "" {
			place = g.place("writable-island", name)
		}
		place.Why = hidden[name]
		g.Frozen = append(g.Frozen, place)
	}
}

// wholeHome puts /home in place of everyone's, unless somebody's is an island.
func (g *gatherer) wholeHome(frozen []string) []string {
	if !slices.Contains(g.Config.Islands, config.HomeIsland) {
		return frozen
	}
	ofHome := func(name string) bool { return filepath.Dir(name) == config.HomeIsland }
	entries, err := os.ReadDir(config.HomeIsland)
	if err != nil || !slices.ContainsFunc(frozen, ofHome) {
		return frozen
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(frozen, filepath.Join(config.HomeIsland, e.Name())) {
			return frozen
		}
	}
	frozen = append(slices.DeleteFunc(frozen, ofHome), config.HomeIsland)
	slices.Sort(frozen)
	return frozen
}

func (g *gatherer) fstab(ctx context.Context) {
	g.Fstab = filepath.Join(g.Root, "etc/fstab")
	f, err := os.Open(g.Fstab)
	if err == nil {
		defer f.Close()
		g.Lines, err = parseFstab(f)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.unseen("fstab", "the mounts at boot: %v", err)
	}
	// "mount from util-linux 2.41 (libmount 2.41.0: …)"
	out, err := exec.CommandContext(ctx, "mount", "--version").Output()
	if m := regexp.MustCompile(`util-linux (\d+\.\d+)`).FindSubmatch(out); err == nil && m != nil {
		g.UtilLinux = string(m[1])
	}
}

// seal reads the links that "systemctl enable" makes, what overrides them, and whether
// this boot was to be sealed.
func (g *gatherer) seal() {
	for _, dir := range g.unitDirs() {
		unit := filepath.Join(dir, sealUnit)
		if info, err := os.Lstat(unit); err == nil {
			target, _ := os.Readlink(unit)
			switch {
			case target == "/dev/null":
				g.Seal.Masked = true
			case info.Mode().IsRegular() && strings.HasSuffix(dir, "/etc/systemd/system"):
				g.Seal.Override = unit
				g.Seal.Installed = true
			default:
				g.Seal.Installed = true
			}
		}
	}
	g.Seal.Enabled = g.enabled(sealUnit)
	g.Seal.Alone = g.Seal.Enabled && !g.enabled(unsealUnit)
	if words, err := os.ReadFile(filepath.Join(g.Proc, "cmdline")); err == nil { // every user may
		_, g.Seal.Skipped = cmdline.SealWanted(words)
	}
}

func (g *gatherer) enabled(unit string) bool {
	for _, dir := range g.unitDirs() {
		for _, kind := range []string{"wants", "requires"} {
			if links, _ := filepath.Glob(filepath.Join(dir, "*."+kind, unit)); len(links) > 0 {
				return true
			}
		}
	}
	return false
}

func (g *gatherer) unitDirs() []string {
	dirs := []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}
	for i, dir := range dirs {
		dirs[i] = filepath.Join(g.Root, dir)
	}
	return dirs
}

func (g *gatherer) pkexec() {
	g.Pkexec.File = filepath.Join(g.Root, "usr/bin/pkexec")
	var st unix.Stat_t
	if unix.Stat(g.Pkexec.File, &st) == nil {
		g.Pkexec.Installed = true
		g.Pkexec.Setuid = st.Mode&unix.S_ISUID != 0 && st.Uid == 0
	}
}

// swaps reads the swap files out of /proc/swaps:
//
//	Filename				Type		Size		Used		Priority
//	/swap/swap\040file                      file		524284		0		-2
func (g *gatherer) swaps() {
	f, err := os.Open(filepath.Join(g.Proc, "swaps"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // a kernel without swap has none
			g.unseen("swap", "the swap files: %v", err)
		}
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[1] != "file" {
			continue
		}
		swap := Swap{File: unescape(fields[0])}
		swap.KiB, _ = strconv.ParseInt(fields[2], 10, 64)
		var st unix.Stat_t
		if err := unix.Stat(swap.File, &st); err != nil {
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
