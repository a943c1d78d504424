// Package distribution knows the commands by which distributions install what Immutray needs.
// Every hint to install something gets the command here.
package distribution

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A Package is something to install, as Debian calls it.
type Package string

// The packages that hints name.
const (
	Pkexec       Package = "pkexec"
	Agent        Package = "mate-polkit" // a polkit agent that any desktop can start
	AppIndicator Package = "gnome-shell-extension-appindicator"
)

// A Distribution is the ID in os-release, then those in ID_LIKE, the closest first
// (os-release(5)). It is empty if there is no os-release.
type Distribution []string

// Here is the distribution that we run on.
func Here() Distribution { return At("/") }

// At is the distribution that is installed below root.
func At(root string) Distribution {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} { // in this order
		if f, err := os.Open(filepath.Join(root, name)); err == nil {
			defer f.Close()
			return parse(f)
		}
	}
	return nil
}

func parse(r io.Reader) Distribution {
	values := map[string]string{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	return strings.Fields(values["ID"] + " " + values["ID_LIKE"])
}

// A family is a group of distributions with the same package manager.
type family struct {
	install string
	// names are the family's names of the packages; it has no others.
	names map[Package]string
}

// families maps the values of ID and ID_LIKE to families. The names of the packages are those
// in the files that build them: pkexec is part of polkit on Fedora and Arch, and a package of
// its own on Debian and openSUSE.
func families() map[string]family {
	debian := family{"apt install", map[Package]string{Pkexec: "pkexec", Agent: "mate-polkit", AppIndicator: "gnome-shell-extension-appindicator"}}
	fedora := family{"dnf install", map[Package]string{Pkexec: "polkit", Agent: "mate-polkit", AppIndicator: "gnome-shell-extension-appindicator"}}
	suse := family{"zypper install", map[Package]string{Pkexec: "pkexec", Agent: "mate-polkit"}}
	arch := family{"pacman -S", map[Package]string{Pkexec: "polkit", Agent: "mate-polkit", AppIndicator: "gnome-shell-extension-appindicator"}}
	transactional := family{"transactional-update pkg install", suse.names}
	return map[string]family{
		"debian": debian, "ubuntu": debian,
		"fedora": fedora,
		"arch":   arch,
		"suse":   suse, "opensuse": suse,
		"opensuse-microos": transactional, "opensuse-aeon": transactional, "opensuse-kalpa": transactional,
	}
}

// Install returns the command that installs a package, for root, or "" where it is not
// known.
func (d Distribution) Install(p Package) string {
	for _, id := range d {
		if f, ok := families()[id]; ok {
			if name := f.names[p]; name != "" {
				return f.install + " " + name
			}
			return ""
		}
	}
	return ""
}
