package doctor

import (
	"path"
	"strings"

	"immutray.org/helper/distribution"
	"immutray.org/helper/islands"
)

// Facts are what is known about a machine.
type Facts struct {
	Kernel       string // release, as in uname -r
	Distribution distribution.Distribution
	// Owner is what decides how the system is laid out instead of the administrator,
	// such as ostree; "" for most.
	Owner string

	Settings Configuration
	// ConfigError is why the configuration is refused, "" when it is not. What is in force
	// instead is what is examined.
	ConfigError string
	Paths       []Path // the protected paths
	Locked      bool   // some of them can't be written now

	Islands []string // what must stay writable

	Frozen []Place // what needs a subvolume of its own, as writable islands would become read-only
	// Optional are the islands that become read-only all the same.
	Optional []islands.Frozen
	Nested   []Place // nested subvolumes that show below a protected path, writable
	// Inner are all subvolumes in directories of the protected ones, whether they show or not.
	Inner []Inner
	// Taken are the paths of all subvolumes, from the top of the file system, as far as
	// they could be seen.
	Taken []string
	Swaps []Swap
	// Resume says that the machine wakes from hibernation in a swap file, whose place
	// on the disk the boot loader knows.
	Resume bool
	// SwapPoint is where a subvolume for a swap file can be mounted: nothing is there yet.
	SwapPoint string

	Fstab     string // the file
	FstabLink bool   // it is no file of its own, but made by something else
	Lines     []FstabLine
	Absent    []Absent
	UtilLinux string // version of mount(8), "" when not known

	Seal    Seal
	Relock  []Relock
	Pkexec  Pkexec
	Session Session

	// Scratch is a directory in which commands may make one of their own.
	Scratch string
	// Unseen is what could not be looked at, Blind the checks that would need it: they
	// may find something all the same, but not that all is well.
	Unseen []string
	Blind  []string
}

// A Configuration is root's file.
type Configuration struct {
	File   string
	Exists bool
}

// A Path is a protected path.
type Path struct {
	Place
	Unfit bool // it is no mount of a whole subvolume or file system
	// OnTop is the file system that is mounted over its subvolume, "" for none.
	OnTop string
}

// A Place is a directory and where it is kept.
type Place struct {
	Name      string
	Real      string // Name without symbolic links, "" when there is no such directory
	Point     string // where what it is on is mounted
	Btrfs     bool
	UUID      string // of the btrfs
	Inside    string // path in the btrfs, from its top
	Subvolume bool   // it is the root directory of one

	// Why is, of what a lock would freeze, how it hangs together with a protected path;
	// "" when it simply lies there.
	Why string
	// Islands are the writable islands in it, where it is none itself.
	Islands []string
}

// An Inner is a subvolume in a directory of another.
type Inner struct {
	Name    string
	Mounted bool // at this very place
}

// An Absent is a subvolume that fstab names, and that does not exist.
type Absent struct {
	Line   FstabLine
	Option string // that names it
}

// A Swap is an active swap file.
type Swap struct {
	File      string
	KiB       int64
	Protected string // the protected path whose subvolume it is in, or ""
}

// Seal is how the boot seal is set up.
type Seal struct {
	Installed bool
	Enabled   bool
	Masked    bool
	// Alone says that it is enabled without the unit that unlocks for the word rw.
	Alone bool
	// Skipped is why this boot was not to be sealed, "" if it was.
	Skipped string
	// Override is a unit of the same name that the administrator made: it is what
	// systemd starts.
	Override string
}

// Pkexec is the program that asks for the password.
type Pkexec struct {
	File      string
	Installed bool
	Setuid    bool // and root's
}

// Session is the desktop that the doctor was called in.
type Session struct {
	Bus     bool   // there is a desktop's session bus to ask
	Tray    bool   // a tray shows StatusNotifier items
	Agent   string // a polkit agent that is known, and runs
	Desktop string // XDG_CURRENT_DESKTOP
}

// protects reports whether a protected path has this name.
func (f Facts) protects(name string) bool { return f.protectedPath(name) != nil }

func (f Facts) protectedPath(name string) *Path {
	for i := range f.Paths {
		if f.Paths[i].Name == name {
			return &f.Paths[i]
		}
	}
	return nil
}

// line returns the line of fstab for a mount point, nil where there is none.
func (f Facts) line(point string) *FstabLine {
	for i := range f.Lines {
		if path.Clean(f.Lines[i].Point) == point {
			return &f.Lines[i]
		}
	}
	return nil
}

func isBelow(name, dir string) bool {
	return name != dir && strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
