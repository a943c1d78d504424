package systemd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// containers are services with a root directory of their own, and what they have at /srv
// in it. Some change to it with pivot_root(2), as container programs do, the others have it
// from their unit.
var containers = map[string]string{
	"pivoted":      "ExecStart=/run/container /mnt/root/etc",
	"pivotedro":    "ExecStart=/run/container /mnt/root/etc ro",
	"pivotedother": "ExecStart=/run/container /mnt/other",
	"rooted":       inAway + "BindPaths=/mnt/root/etc:/srv",
	"rootedro":     inAway + "BindReadOnlyPaths=/mnt/root/etc:/srv",
	"rootedother":  inAway + "BindPaths=/mnt/other:/srv",
}

const inAway = `ExecStart=/bin/sleep infinity
RootDirectory=/run/away
BindReadOnlyPaths=/usr/bin/sleep:/bin/sleep /lib/x86_64-linux-gnu /lib64
`

const startContainers = `
btrfs --quiet subvolume create /mnt/root/other
mkdir /mnt/other
mount -o subvol=R/other "$(findmnt --noheadings --output SOURCE --nofsroot /mnt/root)" /mnt/other
mkdir -p /run/away/bin /run/away/lib/x86_64-linux-gnu /run/away/lib64 /run/away/srv
touch /run/away/bin/sleep
cat >/run/container <<'END'
#!/bin/sh
# The root of the program that it becomes has WHAT at /srv, and nothing else of the machine
# but programs: container WHAT [ro]
set -e
[ "$IN" ] || IN=1 exec unshare --mount --propagation=private "$0" "$@"
mkdir -p /run/c
mount -t tmpfs none /run/c
cd /run/c
mkdir usr srv old proc
mount --bind /usr usr
ln -s usr/bin usr/lib usr/lib64 .
mount --bind "$1" srv
[ -z "$2" ] || mount -o remount,bind,ro srv
mount -t proc none proc
pivot_root . old
umount --lazy /old
exec /bin/sleep infinity
END
chmod +x /run/container
`

// writableContainers returns those that can write to their /srv.
func (b *booted) writableContainers() []string {
	b.t.Helper()
	var script strings.Builder
	for _, name := range slices.Sorted(maps.Keys(containers)) {
		fmt.Fprintf(&script, "pid=$(systemctl show --property=MainPID --value container-%s); test -e /proc/$pid/root/srv && ! test -e /proc/$pid/root/mnt || echo \"%[1]s is elsewhere\"\n", name)
		fmt.Fprintf(&script, "if touch /proc/$pid/root/srv/probe 2>/dev/null; then echo %s; fi\n", name)
	}
	return strings.Fields(b.output("sh", "-c", script.String()))
}

func (b *booted) expectContainers(when string, want ...string) {
	b.t.Helper()
	if got := b.writableContainers(); !slices.Equal(got, want) {
		b.t.Errorf("%s: %q can write, want %q", when, got, want)
	}
}

// mountsOf returns the mount table of a container.
func (b *booted) mountsOf(name string) string {
	b.t.Helper()
	return b.output("sh", "-c", "cat /proc/$(systemctl show --property=MainPID --value container-"+name+")/mountinfo")
}

// A container that has a protected subvolume mounted is locked and unlocked with it; any
// other container is left alone.
func TestContainersUnderSystemd(t *testing.T) {
	b := boot(t)
	var script strings.Builder
	script.WriteString(startContainers)
	var units []string
	for name, settings := range containers {
		units = append(units, "container-"+name)
		fmt.Fprintf(&script, "cat >/run/units/container-%s.service <<'END'\n[Unit]\nDefaultDependencies=no\n[Service]\n%s\nEND\n", name, settings)
	}
	script.WriteString("systemctl daemon-reload\n")
	b.output("sh", "-ec", script.String())
	restart := append([]string{"systemctl", "restart"}, units...)
	started := func() {
		t.Helper()
		b.await("the containers", func() bool {
			return b.try("sh", "-c", "for pid in $(systemctl show --property=MainPID --value container-*); do test $(cat /proc/$pid/comm) = sleep || exit 1; done") == nil
		})
	}
	b.output(restart...)
	started()

	ours := []string{"pivoted", "pivotedother", "rooted", "rootedother"}
	others := []string{"pivotedother", "rootedother"}
	b.expectContainers("before the lock", ours...)
	left := map[string]string{}
	for _, name := range others {
		left[name] = b.mountsOf(name)
	}
	for range 2 {
		b.ask("lock")
		b.expectContainers("locked", others...)
		b.call(immutectl, "run", "--", "sh", "-c", "touch /mnt/root/etc/file && touch /run/begun && exec sleep 60")
		b.await("the command", func() bool { return b.try("rm", "/run/begun") == nil })
		b.expectContainers("while a command runs", others...)
		b.output("systemctl", "stop", "caller.service")
		b.await("the lock", func() bool { return !strings.Contains(b.output(immutectl, "status"), "ro=false") })
		b.ask("unlock")
		b.expectContainers("unlocked", ours...)
	}
	for name, mounts := range left {
		if now := b.mountsOf(name); now != mounts {
			t.Errorf("the mounts of %s were\n%s\nand are\n%s", name, mounts, now)
		}
	}
	// If a container was started while the system was locked, only the settings of a unit
	// say what it is meant to write to.
	b.ask("lock")
	b.output(restart...)
	started()
	b.expectContainers("started while locked", others...)
	b.ask("unlock")
	b.expectContainers("started while locked, and unlocked", "pivotedother", "rooted", "rootedother")
}
