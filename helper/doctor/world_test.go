package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper/btrfs"
	"immutray.org/helper/config"
	"immutray.org/packaging/testbed/lab"
)

// A world is a machine with an installer's layout, on a real btrfs. What runs in it has it
// as its own root, in a mount namespace of its own, as after a boot.
type world struct {
	*lab.System
	root string // the root's subvolume, from the top
	uuid string
}

// newWorld makes the subvolumes, puts a small system into them and the lines into its
// fstab. A subvolume is given as "PATH:MOUNT POINT", the root's first.
func newWorld(t *testing.T, options string, subvolumes ...string) *world {
	t.Helper()
	s := lab.New(t)
	w := &world{System: s, uuid: uuidOf(t, s)}
	lines := "# /etc/fstab: what an installer wrote\n"
	var points []string
	for _, entry := range subvolumes {
		subvolume, point, _ := strings.Cut(entry, ":")
		if w.root == "" {
			w.root = "/" + subvolume
		}
		points = append(points, point)
		for at := range prefixes(subvolume) {
			if _, err := os.Stat(filepath.Join(s.Top, at)); err != nil {
				run(t, "btrfs", "subvolume", "create", filepath.Join(s.Top, at))
			}
		}
		of := options
		if subvolume != "" {
			of += ",subvol=" + subvolume
		}
		lines += fmt.Sprintf("UUID=%s %s btrfs %s 0 0\n", w.uuid, point, of)
	}
	at := func(name string) string { return filepath.Join(s.Top, w.root, name) }
	dirs := []string{
		"dev", "etc", "mnt", "opt", "proc", "run", "sys", "tmp", "usr", "root", "srv", "home/rrs", "home/ann",
		"var/lib/dpkg", "var/log/journal", "var/cache/apt", "var/spool", "var/tmp", "var/backups", "var/mail",
	}
	for _, point := range points {
		dirs = append(dirs, strings.TrimPrefix(point, "/"))
	}
	for _, dir := range dirs {
		// What is a mount of its own is filled where it is kept.
		mkdir(t, at(dir))
		for i, point := range points {
			if i > 0 && isBelow("/"+dir+"/x", point) {
				subvolume, _, _ := strings.Cut(subvolumes[i], ":")
				mkdir(t, filepath.Join(s.Top, subvolume, strings.TrimPrefix("/"+dir, point)))
			}
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"passwd", "group", "ld.so.cache", "os-release"} {
		if data, err := os.ReadFile("/etc/" + file); err == nil {
			write(t, at("etc/"+file), string(data))
		}
	}
	write(t, at("etc/fstab"), lines)
	w.boot(t, "for d in /home/rrs /home/ann /root /srv /var/lib/dpkg /var/log/journal /var/cache/apt /var/mail; do echo $d >$d/kept; done; chmod 1777 /var/tmp; chmod 700 /root; ln /var/lib/dpkg/kept /var/lib/dpkg/link")
	return w
}

func uuidOf(t *testing.T, s *lab.System) string {
	t.Helper()
	top, err := os.Open(s.Top)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	uuid, err := btrfs.UUID(int(top.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return uuid
}

// prefixes yields a, a/b and a/b/c of a/b/c.
func prefixes(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range name + "/" {
			if c == '/' && i > 0 && !yield(name[:i]) {
				return
			}
		}
	}
}

// fstab changes the file.
func (w *world) fstab(t *testing.T, change func(string) string) {
	t.Helper()
	name := filepath.Join(w.Top, w.root, "etc/fstab")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, change(string(data)))
}

// try boots the world and runs a script in it: its root is what the boot loader says, and
// the rest is what fstab says. The boot fails where that can't be mounted.
func (w *world) try(t *testing.T, script string) (string, error) {
	t.Helper()
	for _, program := range []string{"immutectl", "immutray-helper"} {
		lab.Program(t, program)
	}
	boot := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", `
		new=$1/world
		mkdir -p $new
		if [ "$3" = / ]; then mount $2 $new; else mount -o subvol=$3 $2 $new; fi
		cd $new
		mount --rbind /usr usr
		mount --rbind /dev dev
		mount -t proc proc proc
		mount -t sysfs sysfs sys
		mount -t tmpfs tmpfs run
		mkdir run/old run/programs
		mount --bind $4 run/programs
		mount -t tmpfs tmpfs usr/libexec
		mkdir usr/libexec/immutray
		cp run/programs/immutray-helper usr/libexec/immutray
		pivot_root . run/old
		exec chroot . sh -euc '
			umount -l /run/old
			rmdir /run/old
			PATH=/run/programs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
			mount -a -O nonofail || { echo "emergency mode"; exit 99; }
			mount -a 2>/dev/null || : # with nofail, which nothing waits for
			[ -n "$(findmnt -n /tmp)" ] || mount -t tmpfs -o mode=1777 tmpfs /tmp
			eval "$1"
		' sh "$5"
	`, "sh", w.Dir, w.Device, w.root, filepath.Join(lab.Base, "programs"), script)
	out, err := boot.CombinedOutput()
	return string(out), err
}

func (w *world) boot(t *testing.T, script string) string {
	t.Helper()
	out, err := w.try(t, script)
	if err != nil {
		t.Fatalf("%v in\n%s\n%s", err, script, out)
	}
	return out
}

// ask is what the doctor says in there, as root.
func (w *world) ask(t *testing.T, before string) Report {
	t.Helper()
	out := w.boot(t, before+"\nimmutectl doctor --json || [ $? = 1 ]")
	var r Report
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

// layout are the findings about what this is a test of.
func layout(r Report) []Finding {
	return slices.DeleteFunc(without(r, OK), func(f Finding) bool {
		return !slices.Contains([]string{"protected-path", "writable-island", "nested-subvolume", "swap", "fstab"}, f.Check)
	})
}

// commands are all that is printed about it.
func commands(r Report) (all []string) {
	for _, f := range without(r, OK) {
		if f.Check == "optional-island" || slices.ContainsFunc(layout(r), func(l Finding) bool { return l.What == f.What }) {
			all = append(all, f.Mend...)
		}
	}
	return all
}

// mend pastes it all into root's shell, and says which mounts are left then.
func (w *world) mend(t *testing.T, shell, before string, r Report) (mounts, told string) {
	t.Helper()
	script := before + "\ncut -d' ' -f5 /proc/self/mountinfo >/run/before\n"
	// From its standard input: as from a terminal, line by line, where root has such aliases.
	pasted := "alias cp='cp -i' mv='mv -i' rm='rm -i'; set -C\n" + strings.Join(commands(r), "\n")
	script += fmt.Sprintf("%s -i 2>/run/told <<'PASTED' >&2 || echo failed >>/run/told\n%s\nPASTED\n", shell, pasted)
	for _, c := range commands(r) {
		if dir, ok := strings.CutPrefix(c, "immutectl island "); ok {
			script += "echo " + dir + " >>/run/before\n" // which stays mounted
		}
	}
	script += "cut -d' ' -f5 /proc/self/mountinfo >/run/after; echo MOUNTS; grep -vxF -f /run/before /run/after || :; grep -vxF -f /run/after /run/before || :; ls -d /run/immutray.* /etc/fstab.immutray 2>/dev/null || :; echo TOLD; cat /run/told"
	out := w.boot(t, script)
	_, out, _ = strings.Cut(out, "MOUNTS\n")
	mounts, told, _ = strings.Cut(out, "TOLD\n")
	return mounts, told
}

// expectLockable boots what fstab says now and locks that: the system is read-only, and
// every island can be written and has what it had.
func (w *world) expectLockable(t *testing.T) {
	t.Helper()
	if left := layout(w.ask(t, "")); slices.ContainsFunc(left, func(f Finding) bool { return f.Severity == Problem }) {
		t.Errorf("after mending: %+v", left)
	}
	islands := strings.Join(slices.Concat(config.Default().Islands, config.Default().OptionalIslands), " ")
	out := w.boot(t, `
		immutray-helper lock >/run/result || { cat /run/result; exit 1; }
		for d in / /etc /opt; do if touch $d/no 2>/dev/null; then echo "$d is writable"; fi; done
		for d in `+strings.ReplaceAll(islands, "/home", "/home/rrs /home/ann")+`; do
			[ ! -e $d ] || touch $d/yes || echo "$d is read-only"
		done
	`+whole)
	if out != "" {
		t.Errorf("locked:\n%s", out)
	}
}

// whole says what a world has lost.
const whole = `
	for d in /home/rrs /home/ann /root /srv /var/lib/dpkg /var/log/journal /var/cache/apt /var/mail; do
		[ "$(cat $d/kept)" = $d ] || echo "$d has lost its file"
	done
	[ "$(stat -c %a /var/tmp) $(stat -c %a /root)" = "1777 700" ] || echo "modes are lost"
	[ /var/lib/dpkg/kept -ef /var/lib/dpkg/link ] || echo "links are lost"
`
