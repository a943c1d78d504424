package doctor

import (
	"slices"
	"strings"
	"testing"
)

// A find is what a test wants to be found: parts of what and why, and whether there are
// commands for it.
type find struct {
	severity  Severity
	what, why string
	mend      bool
}

func expectFinds(t *testing.T, r Report, want ...find) {
	t.Helper()
	got := layout(r)
	for _, w := range want {
		i := slices.IndexFunc(got, func(f Finding) bool { return strings.Contains(f.What, w.what) })
		if i < 0 {
			t.Errorf("nothing is found of %q: %+v", w.what, got)
			continue
		}
		f := got[i]
		got = slices.Delete(got, i, i+1)
		if f.Severity != w.severity || !strings.Contains(f.Why, w.why) || len(f.Mend) > 0 != w.mend {
			t.Errorf("found %+v, want %+v", f, w)
		}
	}
	if len(got) > 0 {
		t.Errorf("found besides: %+v", got)
	}
}

// covered is what is found of /etc on every stock layout.
var covered = find{Problem, "/etc has no subvolume and mount of its own", `as long as "paths" names it`, true}

// inVar names the islands in /var that a world has, as a finding does.
const inVar = "/var/cache, /var/lib, /var/log, /var/spool and /var/tmp would become read-only"

// What can't be mended by hand is not, and the rest is.
func TestLayoutsThatAreNotMended(t *testing.T) {
	homes := find{Problem, "/home would become read-only", "programs write there", true}
	for name, c := range map[string]struct {
		subvolumes []string
		before     string // in the world, once
		fstab      string // added
		always     string // at each boot
		want       []find
	}{
		"systemd's nested subvolumes": {
			before: "btrfs -q subvolume create /var/lib/portables; btrfs -q subvolume create /var/lib/machines; touch /var/lib/machines/image",
			want: []find{
				covered, homes,
				{Problem, inVar, "the subvolume /var/lib/portables is in it, so this layout can't be mended by hand", false},
				{Problem, "/var/lib/portables is a subvolume", "can't be mended by hand", false},
				{Problem, "/var/lib/machines is a subvolume", "can't be mended by hand", false},
			},
		},
		"Docker's layers": {
			before: "mkdir -p /var/lib/docker/btrfs/subvolumes; btrfs -q subvolume create /var/lib/docker/btrfs/subvolumes/a; btrfs -q subvolume snapshot -r /var/lib/docker/btrfs/subvolumes/a /var/lib/docker/btrfs/subvolumes/b",
			want: []find{
				covered, homes,
				{Problem, inVar, "this layout can't be mended by hand", false},
				{Problem, "/var/lib/docker/btrfs/subvolumes/a is a subvolume", "can't be mended by hand", false},
			},
		},
		"an absent disk": {
			fstab: "UUID=0123 /var ext4 nofail 0 2\n",
			want:  []find{covered, homes, {Problem, inVar, "line 3 of /etc/fstab mounts something there, which is not mounted now", false}, {Warning, "/var has the option nofail", "", true}},
		},
		"a bind mount": {
			before: "mkdir /opt/lib; cp -a /var/lib/. /opt/lib",
			fstab:  "/opt/lib /var/lib none bind 0 0\n",
			want: []find{
				covered, homes,
				{Problem, `/var/lib would become read-only with the system: it is a bind mount of "/@rootfs/opt/lib"`, "", false},
				{Problem, "/var/cache, /var/log, /var/spool and /var/tmp would", "", true},
			},
		},
		"the top level": {
			subvolumes: []string{":/"},
			want: []find{
				covered, {Problem, "/home would", "top level of its file system", false}, {Problem, inVar, "can't be mended by hand", false},
				{Problem, "/ROOTVOL is a subvolume below", "top level", false}, // the lab's own
			},
		},
		"a snapshot that was booted": {
			always: "sed -i s/=@rootfs/=@other/ /etc/fstab",
			want: []find{
				covered, {Problem, "/home would", "names a subvolume", false}, {Problem, inVar, "names a subvolume", false},
				{Warning, "line 2 of /etc/fstab mounts a subvolume at / that does not exist: subvol=/@other", "correct the line", false},
			},
		},
		"a link for an fstab": {
			before: "mv /etc/fstab /etc/static; ln -s static /etc/fstab",
			want:   []find{covered, {Problem, "/home would", "not a plain file", false}, {Problem, inVar, "not a plain file", false}},
		},
		"ostree": {
			always: "touch /run/ostree-booted",
			want:   []find{covered, {Problem, "/home would", "ostree manages", false}, {Problem, inVar, "ostree manages", false}},
		},
		"a name that can't be pasted": {
			before: `mkdir "/opt/$(printf '\033')"; mv /home "/opt/$(printf '\033')/home"; ln -s "opt/$(printf '\033')/home" /home`,
			want:   []find{covered, {Problem, "/home would", "can't be pasted", false}, {Problem, inVar, "", true}},
		},
		"what was left behind": {
			subvolumes: []string{"@rootfs:/", "home:/home", "var:/var"},
			before:     "mount -o subvolid=5 UUID=$(findmnt -no UUID /) /mnt; cd /mnt/@rootfs; mkdir -p home.old var.old/lib; btrfs -q subvolume create var.old/lib/portables; cd /; umount /mnt; btrfs -q subvolume create /etc.old",
			want: []find{
				covered,
				{Warning, "/var.old/lib/portables was left behind when /var got a subvolume of its own", "delete /var.old when", false},
				{Warning, "/etc.old was left behind when /etc", "", false},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			subvolumes := c.subvolumes
			if subvolumes == nil {
				subvolumes = []string{"@rootfs:/"}
			}
			w := newWorld(t, "defaults", subvolumes...)
			w.boot(t, c.before)
			w.fstab(t, func(s string) string { return s + c.fstab })
			r := w.ask(t, c.always)
			expectFinds(t, r, c.want...)
			// What is printed all the same does no harm.
			mounts, told := w.mend(t, "dash", c.always, r)
			if mounts != "" {
				t.Errorf("mending leaves:\n%sand tells:\n%s", mounts, told)
			}
			if out := w.boot(t, whole); out != "" {
				t.Error(out)
			}
		})
	}
}

// Whatever command fails, the block stops there, takes back what it did, and the next boot
// is the one before.
func TestABlockThatStopsLeavesNothing(t *testing.T) {
	w := newWorld(t, "defaults", "@rootfs:/", "home:/home")
	w.boot(t, "btrfs -q subvolume create /.snapshots; touch /.snapshots/kept")
	w.boot(t, "truncate -s 0 /swapfile; chattr +C /swapfile; fallocate -l 4M /swapfile; chmod 600 /swapfile; mkswap -q /swapfile")
	w.fstab(t, func(s string) string { return s + "/swapfile none swap sw 0 0" })
	const swapping = "swapon /swapfile"
	r := w.ask(t, swapping+"; trap 'swapoff /swapfile' EXIT")
	expectFinds(t, r, covered,
		find{Problem, inVar, "", true},
		find{Problem, "/.snapshots is a subvolume", "", true},
		find{Problem, "the swap file /swapfile is in the subvolume of /", "", true},
	)
	for _, f := range layout(r) {
		if strings.Contains(f.Mend[0], "config.toml") {
			w.boot(t, f.Mend[0])
			continue
		}
		out := w.boot(t, swapping+"; trap '/sbin/swapoff -a' EXIT\ncat >/run/block <<'BLOCK'\n"+f.Mend[0]+"\nBLOCK\n"+failing)
		if !strings.HasSuffix(out, "all tried\n") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s:\n%s", f.What, out)
		}
	}
	w.boot(t, "immutectl island /root; immutectl island /srv")
	w.expectLockable(t)
}

// failing runs a block again and again, and each time another one of its commands fails.
const failing = `
	mkdir /run/shims
	for p in mktemp mkdir mount umount btrfs cp mv chown chmod findmnt sed grep swapon rm; do
		cat >/run/shims/$p <<-SHIM
		#!/bin/sh
		n=\$((\$(cat /run/count) + 1))
		echo \$n >/run/count
		[ \$n != \$(cat /run/fail) ] || exit 1
		PATH=/usr/sbin:/usr/bin
		exec $p "\$@"
		SHIM
		chmod +x /run/shims/$p
	done
	state() {
		cat /etc/fstab
		ls -a / /etc
		ls -d /run/immutray.* 2>/dev/null || :
		cat /.snapshots/kept
		btrfs subvolume list -a / | sed 's/.* path//'
		cut -d' ' -f5 /proc/self/mountinfo
		cut -d' ' -f1 /proc/swaps
	}
	state >/run/before
	cp /etc/fstab /run/fstab
	n=0
	while cmp -s /etc/fstab /run/fstab; do
		n=$((n + 1))
		echo 0 >/run/count
		echo $n >/run/fail
		if PATH=/run/shims:$PATH sh /run/block >/run/told 2>&1; then
			cmp -s /etc/fstab /run/fstab && echo "goes on after command $n has failed" || :
		elif cmp -s /etc/fstab /run/fstab; then
			state | diff /run/before - || { echo "stopped at command $n, it leaves that"; cat /run/told; }
		fi
	done
	[ $n -ge 11 ] && echo "all tried" || echo "only $n commands"
`

// Nothing is done twice, and nothing where fstab has changed meanwhile.
func TestABlockIsPastedTwice(t *testing.T) {
	w := newWorld(t, "defaults", "@:/", "@home:/home")
	r := w.ask(t, "")
	if mounts, told := w.mend(t, "bash", "", r); mounts != "" || strings.Contains(told, "failed") {
		t.Fatalf("mending leaves:\n%sand tells:\n%s", mounts, told)
	}
	before := w.boot(t, "cat /etc/fstab; btrfs subvolume list -a /")
	if mounts, told := w.mend(t, "bash", "", r); mounts != "" || !strings.Contains(told, "cannot overwrite") || !strings.Contains(told, "already exists") {
		t.Errorf("mending again leaves:\n%sand tells:\n%s", mounts, told)
	}
	if after := w.boot(t, "cat /etc/fstab; btrfs subvolume list -a /"); after != before {
		t.Errorf("mending again leaves\n%s\nwant\n%s", after, before)
	}
	w.expectLockable(t)
}

// A subvolume that fstab names and that is gone is an emergency at the next boot.
func TestAbsentSubvolumes(t *testing.T) {
	w := newWorld(t, "defaults", "@:/", "@home:/home", "@var:/var")
	dev := w.boot(t, "mkdir /data /data2 /data3 /data4 /data5; btrfs inspect-internal rootid /var; findmnt -no SOURCE / | sed 's/\\[.*//'")
	id, device, _ := strings.Cut(strings.TrimSpace(dev), "\n")
	w.fstab(t, func(s string) string {
		return s + strings.Join([]string{
			device + " /data btrfs subvol=@gone,nofail 0 0",
			"UUID=" + strings.ToUpper(w.uuid) + " /data2 btrfs subvolid=9999,noauto 0 0",
			"UUID=" + w.uuid + " /data3 btrfs noauto,subvol=/@var,subvolid=" + id + " 0 0",
			"UUID=" + w.uuid + " /data4 btrfs noauto,subvol=/@home,subvolid=" + id + " 0 0",
			"UUID=0000 /data5 btrfs noauto,subvol=/@else 0 0",
			"",
		}, "\n")
	})
	r := w.ask(t, "printf 'UUID=%s /data btrfs subvol=/@lost 0 0\\n' "+w.uuid+" >>/etc/fstab")
	expectFinds(t, r, covered,
		find{Warning, "line 5 of /etc/fstab mounts a subvolume at /data that does not exist: subvol=/@gone", "it can't be mounted", false},
		find{Warning, "line 6 of /etc/fstab mounts a subvolume at /data2 that does not exist: subvolid=9999", "", false},
		find{Warning, "line 8 of /etc/fstab mounts a subvolume at /data4 that does not exist: subvol=/@home is not subvolid=" + id, "", false},
		find{Problem, "line 10 of /etc/fstab mounts a subvolume at /data that does not exist: subvol=/@lost", "emergency mode", false},
	)
	if out, err := w.try(t, "echo up"); err == nil || !strings.Contains(out, "emergency mode") {
		t.Errorf("the next boot: %v, %s", err, out)
	}
}

// A swap file that the machine wakes from is not moved; nor is one that fstab does not know.
func TestSwapFilesThatStay(t *testing.T) {
	w := newWorld(t, "defaults", "@:/", "@home:/home", "@var:/var")
	w.boot(t, "truncate -s 0 /swapfile; chattr +C /swapfile; fallocate -l 4M /swapfile; chmod 600 /swapfile; mkswap -q /swapfile; echo root=x resume_offset=4711 >/etc/cmdline")
	const swapping = "swapon /swapfile; trap 'swapoff /swapfile' EXIT; "
	expectFinds(t, w.ask(t, swapping), covered, find{Problem, "the swap file /swapfile", "/etc/fstab has no line for it", false})
	w.fstab(t, func(s string) string { return s + "/swapfile\tnone\tswap\tsw\t0\t0" })
	expectFinds(t, w.ask(t, swapping+"mount --bind /etc/cmdline /proc/cmdline"), covered, find{Problem, "the swap file /swapfile", "resume_offset=", false})
	r := w.ask(t, swapping)
	expectFinds(t, r, covered, find{Problem, "the swap file /swapfile", "", true})
	mounts, told := w.mend(t, "bash", "swapon /swapfile; trap 'swapoff -a' EXIT", r)
	if mounts != "/swap\n" || strings.Contains(told, "failed") {
		t.Errorf("mending leaves:\n%sand tells:\n%s", mounts, told)
	}
	out := w.boot(t, "swapon -a; trap 'swapoff -a' EXIT; cut -d' ' -f1 /proc/swaps | grep swapfile; stat -c %s /swap/swapfile; ls /")
	if !strings.HasPrefix(out, "/swap/swapfile\n4194304\n") || strings.Contains(out, "\nswapfile\n") {
		t.Errorf("after the next boot:\n%s", out)
	}
	w.expectLockable(t)
}
