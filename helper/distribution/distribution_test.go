package distribution

import (
	"os"
	"path/filepath"
	"testing"
)

// The ID lines are those of the distributions' own files.
func TestInstall(t *testing.T) {
	for _, c := range []struct{ name, release, pkexec, agent, indicator string }{
		{"Debian", "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n", "apt install pkexec", "apt install mate-polkit", "apt install gnome-shell-extension-appindicator"},
		{"Mint", "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt install pkexec", "apt install mate-polkit", "apt install gnome-shell-extension-appindicator"},
		{"Fedora", "NAME=\"Fedora Linux\"\nID=fedora\nVARIANT_ID=workstation\n", "dnf install polkit", "dnf install mate-polkit", "dnf install gnome-shell-extension-appindicator"},
		{"Rocky", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf install polkit", "dnf install mate-polkit", "dnf install gnome-shell-extension-appindicator"},
		{"Tumbleweed", "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", "zypper install pkexec", "zypper install mate-polkit", ""},
		{"MicroOS", "ID=\"opensuse-microos\"\nID_LIKE=\"suse opensuse opensuse-tumbleweed\"\n", "transactional-update pkg install pkexec", "transactional-update pkg install mate-polkit", ""},
		{"Arch", "ID=arch\n", "pacman -S polkit", "pacman -S mate-polkit", "pacman -S gnome-shell-extension-appindicator"},
		{"EndeavourOS", "ID='endeavouros'\nID_LIKE='arch'\n", "pacman -S polkit", "pacman -S mate-polkit", "pacman -S gnome-shell-extension-appindicator"},
		{"another", "ID=nixos\n", "", "", ""},
		{"no ID", "# comment\n\nNAME\n", "", "", ""},
	} {
		for _, file := range []string{"etc/os-release", "usr/lib/os-release"} {
			root := t.TempDir()
			at := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(c.release), 0o644); err != nil {
				t.Fatal(err)
			}
			d := At(root)
			for p, want := range map[Package]string{Pkexec: c.pkexec, Agent: c.agent, AppIndicator: c.indicator} {
				if got := d.Install(p); got != want {
					t.Errorf("%s, %s: Install(%s) = %q, want %q", c.name, file, p, got, want)
				}
			}
		}
	}
	if d := At(t.TempDir()); d.Install(Pkexec) != "" {
		t.Errorf("without os-release: %q", d)
	}
}
