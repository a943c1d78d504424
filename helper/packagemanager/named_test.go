package packagemanager

import "testing"

func TestIsNamed(t *testing.T) {
	for _, command := range [][]string{
		{"apt", "upgrade"},
		{"/usr/bin/apt-get", "install", "vim"},
		{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "upgrade"},
		{"sh", "-c", "apt update && /usr/bin/apt upgrade"},
		{"bash", "-c", "(dnf upgrade);true"},
		{"pacman", "-Syu"},
	} {
		if !IsNamed(command) {
			t.Errorf("%q names none", command)
		}
	}
	for _, command := range [][]string{nil, {"vi", "/etc/apt.conf"}, {"rsync", "a", "dpkg.log"}, {"laptop"}} {
		if IsNamed(command) {
			t.Errorf("%q names one", command)
		}
	}
}
