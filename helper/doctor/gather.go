package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/boot"
	"immutray.org/helper/config"
	"immutray.org/helper/distribution"
	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
)

// A System is what facts are gathered from.
type System struct {
	Config config.Config
	// ConfigFile is where Config was read, or would have been.
	ConfigFile string
	// Root is the directory that the files of the system are below, "/" but for tests.
	Root string
	Proc string // where proc is mounted
	// Scratch is a directory, of root's alone, in which commands may make one of their own.
	Scratch string
	// Session looks at the caller's desktop.
	Session func(context.Context) Session
	// Timeout is how long each step may take; 0 is without a limit.
	Timeout time.Duration
}

// Here returns the machine that we run on, with the configuration out of a file.
func Here(c config.Config, file string) *System {
	return &System{
		Config: c, ConfigFile: file, Root: "/", Proc: "/proc", Scratch: "/run", Session: session, Timeout: 5 * time.Second,
	}
}

// Gather reads the facts. Any user may; what he may not see stands in Facts.Unseen, and
// so does what did not answer.
func (s *System) Gather(ctx context.Context) Facts {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 8*s.Timeout) // for the programs that it asks
		defer cancel()
	}
	g := &gatherer{System: s}
	g.Facts.Scratch = s.Scratch
	g.Kernel = release()
	var status helper.Status
	status.ConfigError = config.Refusal(s.Config.Refused)
	g.ConfigError = status.ConfigError
	g.readMounts()
	g.within("the files of the system", []string{"protected-path", "seal", "relock", "pkexec"}, (*gatherer).files)
	g.within("the protected paths", []string{"protected-path"}, (*gatherer).open)
	g.within("all writable islands", []string{"writable-island"}, (*gatherer).islands)
	g.within("the directories that should be writable", []string{"optional-island"}, (*gatherer).optional)
	g.within("nested subvolumes", []string{"nested-subvolume"}, (*gatherer).nested)
	g.within("the swap files", []string{"swap"}, (*gatherer).swaps)
	g.within("the mounts at boot", []string{"fstab"}, func(g *gatherer) { g.fstab(ctx) })
	g.within("the subvolumes of fstab", []string{"fstab"}, func(g *gatherer) { g.subvolumes(ctx) })
	g.within("the desktop", []string{"polkit-agent", "tray"}, func(g *gatherer) { g.session(ctx) })
	g.close()
	return g.Facts
}

type gatherer struct {
	*System
	Facts
	tree      *mount.Tree
	opened    []*protected.Path
	abandoned bool // something is still being looked at
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

func (g *gatherer) readMounts() {
	g.tree = mount.NewTree(nil)
	f, err := os.Open(filepath.Join(g.Proc, "self/mountinfo"))
	if err != nil {
		g.unseen("nested-subvolume", "the mount table: %v", err)
		return
	}
	defer f.Close()
	mounts, err := mount.ParseInfo(f)
	if err != nil {
		g.unseen("nested-subvolume", "the mount table: %v", err)
		return
	}
	g.tree = mount.NewTree(mounts)
}

// files reads what lies in the root file system.
func (g *gatherer) files() {
	g.Distribution = distribution.At(g.Root)
	g.owner()
	_, err := os.Lstat(g.ConfigFile)
	g.Settings = Configuration{File: g.ConfigFile, Exists: err == nil}
	g.seal()
	g.relock()
	g.pkexec()
}

// owner finds what decides how the system is laid out.
func (g *gatherer) owner() {
	if _, err := os.Stat(filepath.Join(g.Root, "run/ostree-booted")); err == nil {
		g.Owner = "ostree"
	}
	switch {
	case slices.Contains(g.Distribution, "nixos"):
		g.Owner = "NixOS"
	case strings.HasPrefix(g.Distribution.Install(distribution.Pkexec), "transactional-update"):
		g.Owner = "transactional-update"
	}
}

func (g *gatherer) open() {
	for _, name := range g.Config.Paths {
		p := Path{Place: g.place("protected-path", name)}
		var waiting *waitingError
		if _, err := g.resolve(name); errors.As(err, &waiting) {
			g.Paths = append(g.Paths, p)
			continue // place has said so
		}
		opened, err := protected.Open(name)
		switch {
		case err == nil:
			g.opened = append(g.opened, opened)
			s := opened.Status()
			p.OnTop = s.OnTop
			g.Locked = g.Locked || s.State != helper.Unlocked && s.State != helper.Unknown
		case errors.Is(err, protected.ErrUnfit):
			p.Unfit = true
		default:
			g.unseen("protected-path", "%s: %v", name, err)
		}
		g.Paths = append(g.Paths, p)
	}
}

func (g *gatherer) close() {
	if g.abandoned {
		return // who still looks must not find another file at the same number
	}
	for _, p := range g.opened {
		p.Close()
	}
}

func (g *gatherer) fstab(ctx context.Context) {
	g.Fstab = filepath.Join(g.Root, "etc/fstab")
	info, err := os.Lstat(g.Fstab)
	g.FstabLink = err == nil && !info.Mode().IsRegular()
	real, err := g.resolve(g.Fstab)
	if err == nil {
		var f *os.File
		if f, err = os.Open(real); err == nil {
			defer f.Close()
			g.Lines, err = parseFstab(f)
		}
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

func (g *gatherer) session(ctx context.Context) {
	g.Facts.Session = g.System.Session(ctx)
	if !g.Facts.Session.Bus {
		g.unseen("tray", "the polkit agent and the tray: there is no desktop here; run the doctor as yourself, on the desktop")
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
		_, g.Seal.Skipped = boot.Facts{CommandLine: words}.Decide()
	}
}

func (g *gatherer) enabled(unit string) bool {
	for _, dir := range g.unitDirs() {
		for _, kind := range []string{"wants", "requires"} {
			links, _ := filepath.Glob(filepath.Join(dir, "*."+kind, unit))
			// What every computer has for its updates is not enabled by that.
			links = slices.DeleteFunc(links, func(link string) bool { return strings.Contains(link, "/system-update.target.") })
			if len(links) > 0 {
				return true
			}
		}
	}
	return false
}

// unitDirs are the directories of units that there are, and that can be looked at:
// /usr/local may be on the network.
func (g *gatherer) unitDirs() []string {
	var dirs []string
	for _, dir := range []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		dir = filepath.Join(g.Root, dir)
		var waiting *waitingError
		if _, err := g.resolve(dir); errors.As(err, &waiting) {
			g.unseen("seal", "%s: %v", dir, err)
			continue
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

func (g *gatherer) pkexec() {
	g.Pkexec.File = filepath.Join(g.Root, "usr/bin/pkexec")
	real, err := g.resolve(g.Pkexec.File)
	if err != nil {
		return
	}
	var st unix.Stat_t
	if unix.Stat(real, &st) == nil {
		g.Pkexec.Installed = true
		g.Pkexec.Setuid = st.Mode&unix.S_ISUID != 0 && st.Uid == 0
	}
}
