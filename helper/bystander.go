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

// StillReadOnlyWords says which programs an unlock has not reached, and what to do; "" when
// there are none.
func StillReadOnlyWords(behind []Bystander) string {
	if len(behind) == 0 {
		return ""
	}
	const most = 5
	var names, units []string
	services := 0
	for _, b := range behind {
		if b.IsService() {
			services++
		}
		if b.CanRestart() {
			units = append(units, b.Unit)
		} else {
			names = append(names, b.Name())
		}
	}
	what, see := "program", "sees"
	if services == len(behind) {
		what = "service"
	}
	if len(behind) > 1 {
		what, see = what+"s", "see"
	}
	var todo []string
	if len(units) > 0 {
		todo = append(todo, "run \"systemctl restart "+strings.Join(units[:min(len(units), most)], " ")+"\"")
	}
	if len(names) > 0 {
		text := strings.Join(names[:min(len(names), most)], ", ")
		if more := len(names) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		todo = append(todo, "start again "+text)
	}
	return fmt.Sprintf("%d %s still %s it read-only: %s", len(behind), what, see, strings.Join(todo, "; "))
}
