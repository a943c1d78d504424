package packagemanager

import (
	"path"
	"slices"
	"strings"
)

// programs lists the programs that install packages.
func programs() []string {
	return []string{
		"apt", "apt-get", "aptitude", "dpkg", "nala", "synaptic", "unattended-upgrade", "unattended-upgrades",
		"dnf", "dnf5", "dnf-3", "yum", "microdnf", "rpm", "zypper", "pacman", "pacman-static",
		"pkcon", "packagekitd",
	}
}

// IsNamed reports whether a command line names a package manager, perhaps as an argument of env,
// nice or a shell. An argument that only looks like one counts too.
func IsNamed(command []string) bool {
	return slices.ContainsFunc(command, func(argument string) bool {
		words := strings.FieldsFunc(argument, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()'\"`$", r) })
		return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(programs(), path.Base(word)) })
	})
}
