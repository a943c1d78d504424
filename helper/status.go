package helper

import "time"

// A State is the state of a protected path, or of the whole system.
type State string

// The states. Only a path has OpenMount and MountOnly, only the system has PartlyLocked.
const (
	Locked       State = "locked"        // property and mount flag both read-only
	Unlocked     State = "unlocked"      // both writable
	OpenMount    State = "open-mount"    // property read-only, mount writable: files already open can still be written
	MountOnly    State = "mount-only"    // property writable: one "mount -o remount,rw" from unlocked
	PartlyLocked State = "partly-locked" // neither locked nor unlocked
	Unknown      State = "unknown"       // a layer can't be read
)

// A Flag is the value of one layer.
type Flag string

// The values of a layer. The empty Flag means that it could not be read.
const (
	ReadOnly Flag = "ro"
	Writable Flag = "rw"
	NoFlag   Flag = "none" // no such layer: a path that is not on btrfs has no property
)

// A Status is what the kernel says about every protected path at one moment.
// It is the JSON of "immutectl status --json".
type Status struct {
	State State        `json:"state"`
	Paths []PathStatus `json:"paths"`
	// Window is the window that is open; nil when the system is locked, and when there is no
	// record of the unlock.
	Window *Window `json:"window"`
	// Overdue says why the system is not locked although the window is over; else nil.
	Overdue *Overdue `json:"overdue,omitempty"`
	// Runs are the commands of "immutectl run", the oldest first. For all other programs the
	// system is locked; see [Status.SetRuns].
	Runs []Run `json:"runs,omitempty"`
	// StillReadOnly are the programs to which an unlocked system is still read-only: they
	// have mounts of their own that could not be changed. A restart gives them new ones.
	StillReadOnly []Bystander `json:"still_read_only,omitempty"`
	// ConfigError is why the file of the configuration is refused, "" when it is not. The rest
	// is about the configuration that is used instead.
	ConfigError string `json:"config_error,omitempty"`
}

// UsedInstead is what follows a [Status.ConfigError] in a sentence.
const UsedInstead = "; the last good configuration, or else the default, is used instead"

// A PathStatus is the state of one protected path, layer by layer.
type PathStatus struct {
	Path        string `json:"path"`
	Filesystem  string `json:"filesystem"`
	Subvolume   string `json:"subvolume"`
	SubvolumeID uint64 `json:"subvolume_id"`
	Property    Flag   `json:"property"`
	Mount       Flag   `json:"mount"`
	Superblock  Flag   `json:"superblock"`
	// OnTop is the file system that is mounted over the subvolume and hides it, such as an
	// overlay of systemd-confext(8); mostly "". The mount flag is that of the upper mount, the
	// rest is the subvolume's.
	OnTop string `json:"on_top,omitempty"`
	State State  `json:"state"`
	Error string `json:"error"`
}

// A Window is the time from an unlock to the next lock.
type Window struct {
	Since time.Time `json:"since"`
	// Until is when the system locks again; nil means until someone locks it.
	Until  *time.Time `json:"until"`
	UID    uint32     `json:"uid"`
	User   string     `json:"user"`
	Reason string     `json:"reason"`
}

// PathState returns the state of a path with these layers.
//
// A read-only superblock below a writable property counts as MountOnly, like a
// read-only mount: one "mount -o remount,rw" undoes either. Below a read-only
// property it does not make a writable mount locked, for the same reason.
func PathState(property, mount, superblock Flag) State {
	if mount == "" || property == "" {
		return Unknown
	}
	readOnlyNow := mount == ReadOnly || superblock == ReadOnly
	switch {
	case property == NoFlag && mount == ReadOnly:
		return Locked
	case property == NoFlag && readOnlyNow:
		return MountOnly
	case property == NoFlag:
		return Unlocked
	case property == ReadOnly && mount == ReadOnly:
		return Locked
	case property == ReadOnly:
		return OpenMount
	case readOnlyNow:
		return MountOnly
	}
	return Unlocked
}

// OverallState returns the state of the system: unlocked if any path is, locked if every path is,
// else unknown if any path is.
func OverallState(paths []PathStatus) State {
	locked, unknown := 0, 0
	for _, p := range paths {
		switch p.State {
		case Unlocked:
			return Unlocked
		case Locked:
			locked++
		case Unknown:
			unknown++
		}
	}
	switch {
	case unknown > 0 || len(paths) == 0:
		return Unknown
	case locked == len(paths):
		return Locked
	}
	return PartlyLocked
}
