package doctor

import "immutray.org/helper/distribution"

// Facts are what is known about a machine.
type Facts struct {
	Kernel       string // release, as in uname -r
	Distribution distribution.Distribution

	Paths  []Path // the protected paths
	Locked bool   // some of them can't be written now

	Islands []string // what must stay writable

	Frozen []Place // writable islands that would become read-only
	Nested []Place // nested subvolumes that show below a protected path, writable
	Swaps  []Swap

	Fstab     string // the file
	Lines     []FstabLine
	UtilLinux string // version of mount(8), "" when not known

	Seal    Seal
	Relock  []Relock
	Pkexec  Pkexec
	Session Session

	// Mountpoint is where commands may mount a whole filesystem for a moment.
	Mountpoint string
	// Unseen is what could not be looked at, Blind the checks that would need it: they
	// may find something all the same, but not that all is well.
	Unseen []string
	Blind  []string
}

// A Path is a protected path.
type Path struct {
	Place
	Unfit bool // it is no mount of a whole subvolume or file system
}

// A Place is a directory and where it is kept.
type Place struct {
	Name      string
	Real      string // Name without symbolic links, "" when there is no such directory
	Btrfs     bool
	UUID      string // of the btrfs
	Inside    string // path in the btrfs, from its top
	Subvolume bool   // it is the root directory of one

	// Why is, of what a lock would freeze, how it hangs together with a protected path;
	// "" when it simply lies there.
	Why string
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
