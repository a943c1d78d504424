// Package bystanders words which programs still see an unlocked system read-only.
package bystanders

import (
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper"
)

// unrestarted are services that can't be restarted below a running desktop: it would end with
// them, or containers and virtual machines would.
var unrestarted = []string{
	"dbus.", "dbus-broker.", "systemd-logind.", "user@", "getty@", "serial-getty@",
	"display-manager.", "gdm.", "gdm3.", "sddm.", "lightdm.", "lxdm.", "greetd.", "ly.",
	"docker.", "containerd.", "libvirtd.", "virtqemud.", "systemd-nspawn@",
}

// canRestart reports whether it is a service that can be restarted while people work.
func canRestart(b helper.Bystander) bool {
	return b.IsService() && !slices.ContainsFunc(unrestarted, func(prefix string) bool { return strings.HasPrefix(b.Unit, prefix) })
}

// Restartable returns the units of those that can be restarted, each once.
func Restartable(behind []helper.Bystander) []string {
	var units []string
	for _, b := range behind {
		if canRestart(b) && !slices.Contains(units, b.Unit) {
			units = append(units, b.Unit)
		}
	}
	return units
}

// mostBehind is how many programs are named at most.
const mostBehind = 5

// Words says which programs an unlock has not reached, and what to do; "" when
// there are none.
func Words(behind []helper.Bystander) string {
	if len(behind) == 0 {
		return ""
	}
	var remedies []string
	if units := Restartable(behind); len(units) > 0 {
		remedies = append(remedies, "run \"systemctl restart "+strings.Join(units[:min(len(units), mostBehind)], " ")+"\"")
	}
	if words := StartAgain(behind); words != "" {
		remedies = append(remedies, words)
	}
	return Count(behind) + ": " + strings.Join(remedies, "; ")
}

// Count says how many programs an unlock has not reached.
func Count(behind []helper.Bystander) string {
	what, see := "program", "sees"
	if !slices.ContainsFunc(behind, func(b helper.Bystander) bool { return !b.IsService() }) {
		what = "service"
	}
	if len(behind) != 1 {
		what, see = what+"s", "see"
	}
	return fmt.Sprintf("%d %s still %s it read-only", len(behind), what, see)
}

// StartAgain names those that can't be restarted while people work; "" when all can.
func StartAgain(behind []helper.Bystander) string {
	var names []string
	for _, b := range behind {
		if !canRestart(b) {
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
