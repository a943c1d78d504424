package helper

import (
	"fmt"
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

// StillReadOnlyWords says which programs an unlock has not reached; "" when there are none.
func StillReadOnlyWords(behind []Bystander) string {
	if len(behind) == 0 {
		return ""
	}
	const most = 5
	var names []string
	services := 0
	for i, b := range behind {
		if b.IsService() {
			services++
		}
		if i < most {
			names = append(names, b.Name())
		}
	}
	if len(behind) > most {
		names = append(names, fmt.Sprintf("%d more", len(behind)-most))
	}
	what := "program"
	if services == len(behind) {
		what = "service"
	}
	if len(behind) == 1 {
		return fmt.Sprintf("1 %s still sees it read-only: restart it: %s", what, names[0])
	}
	return fmt.Sprintf("%d %ss still see it read-only: restart them: %s", len(behind), what, strings.Join(names, ", "))
}
