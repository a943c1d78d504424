package helper

import (
	"fmt"
	"strings"
)

// A Bystander is a program that sees the protected paths through mounts of its own, in a mount
// namespace that an unlock could not change.
type Bystander struct {
	// Unit is its unit of the system's systemd, "" if it has none.
	Unit    string `json:"unit"`
	Program string `json:"program"`
	PID     int    `json:"pid"`
}

// Name returns what a person knows it by.
func (b Bystander) Name() string {
	switch {
	case b.IsService():
		return b.Unit
	case b.Program == "":
		return "a mount namespace without a process"
	}
	return fmt.Sprintf("%s (pid %d)", b.Program, b.PID)
}

// IsService reports whether systemd can restart it.
func (b Bystander) IsService() bool { return strings.HasSuffix(b.Unit, ".service") }
