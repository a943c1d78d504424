package helper

// A WriterKind says by what means a writer holds a file.
type WriterKind string

// The kinds of writer. Each but WriterUnknown keeps mount_setattr(MOUNT_ATTR_RDONLY) at
// EBUSY.
const (
	WriterFile    WriterKind = "file"    // a descriptor open for writing
	WriterMapping WriterKind = "mapping" // a mapping of a file opened for writing, its descriptor closed
	WriterLoop    WriterKind = "loop"    // a loop device whose backing file is there
	WriterSwap    WriterKind = "swap"    // an active swap file
	// WriterUnknown is a process that could not be inspected and may be writing. Mostly it
	// hangs, and so does every program that inspects it. Protected and Path are empty, and
	// Program is what the process calls itself.
	WriterUnknown WriterKind = "unknown"
)

// A Writer is something that holds a file on a protected path open for writing.
type Writer struct {
	Kind WriterKind `json:"kind"`
	// Protected is the protected path that the file belongs to.
	Protected string `json:"protected"`
	// Path is the file, as the writer itself sees it.
	Path string `json:"path"`
	// PID is 0 for a loop device or swap file: the kernel holds those.
	PID     int    `json:"pid"`
	Program string `json:"program"`
	UID     uint32 `json:"uid"`
	User    string `json:"user"`
	// Unit is the systemd unit from the process's cgroup, "" if it has none.
	Unit string `json:"unit"`
	// Device is the loop device, for WriterLoop.
	Device string `json:"device,omitempty"`
}
