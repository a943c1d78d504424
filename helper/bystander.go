package helper

import (
	"fmt"
	"slices"
	"strings"
)

// A Bystander is a program that sees the protected paths through mounts of its own, in a
// mount namespace that could not be brought along with the others.
type Bystander struct {
	// Unit is the system's unit it belongs to, "" outside any.
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

// unrestarted are services that nobody restarts below a running desktop: it ends with them,
// or what they keep at work does.
var unrestarted = []string{
	"dbus.", "dbus-broker.", "systemd-logind.", "user@", "getty@", "serial-getty@",
	"display-manager.", "gdm.", "gdm3.", "sddm.", "lightdm.", "lxdm.", "greetd.", "ly.",
	"docker.", "containerd.", "libvirtd.", "virtqemud.", "systemd-nspawn@",
}

// CanRestart reports whether it is a service that can be restarted while people work.
func (b Bystander) CanRestart() bool {
	return b.IsService() && !slices.ContainsFunc(unrestarted, func(prefix string) bool { return strings.HasPrefix(b.Unit, prefix) })
}

// Restartable returns the units of those that can be restarted, each once.
func Restartable(behind []Bystander) []string {
	var units []string
	for _, b := range behind {
		if b.CanRestart() && !slices.Contains(units, b.Unit) {
			units = append(units, b.Unit)
		}
	}
	return units
}

// mostBehind is how many programs are named at most.
const mostBehind = 5

// StillReadOnlyWords says which programs an unlock has not reached, and what to do; "" when
// there are none.
func StillReadOnlyWords(behind []Bystander) string {
	if len(behind) == 0 {
		return ""
	}
	var remedies []string
	if units := Restartable(behind); len(units) > 0 {
		remedies = append(remedies, "run \"systemctl restart "+strings.Join(units[:min(len(units), mostBehind)], " ")+"\"")
	}
	if words := StartAgainWords(behind); words != "" {
		remedies = append(remedies, words)
	}
	return StillReadOnlyCount(behind) + ": " + strings.Join(remedies, "; ")
}

// StillReadOnlyCount says how many programs an unlock has not reached.
func StillReadOnlyCount(behind []Bystander) string {
	what, see := "program", "sees"
	if !slices.ContainsFunc(behind, func(b Bystander) bool { return !b.IsService() }) {
		what = "service"
	}
	if len(behind) != 1 {
		what, see = what+"s", "see"
	}
	return fmt.Sprintf("%d %s still %s it read-only", len(behind), what, see)
}

// StartAgainWords names those that can't be restarted while people work; "" when all can.
func StartAgainWords(behind []Bystander) string {
	var names []string
	for _, b := range behind {
		if !b.CanRestart() {
			names = append(names, b.Name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	words := "start again " + strings.Join(names[:min(len(names), mostBehind)], ", ")
	if more := len(names) - mostBehind; more > 0 {
		words += fmt.Sprintf(" and %d more", more)
	}
	return words
}
