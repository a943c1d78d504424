package doctor

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper/distribution"
)

// ready are the facts of a machine with the classic layout, after the seal is enabled.
func ready() Facts {
	return Facts{
		Kernel:       "6.12.48+deb13-amd64",
		Distribution: distribution.Distribution{"debian"},
		Paths: []Path{
			{Place: Place{Name: "/", Real: "/", Point: "/", Btrfs: true, UUID: "u", Inside: "/ROOTVOL", Subvolume: true}},
			{Place: Place{Name: "/etc", Real: "/etc", Point: "/etc", Btrfs: true, UUID: "u", Inside: "/ROOTVOL/etc", Subvolume: true}},
		},
		Islands:   []string{"/home", "/var/lib", "/var/log", "/tmp"},
		Fstab:     "/etc/fstab",
		UtilLinux: "2.41",
		Seal:      Seal{Installed: true, Enabled: true},
		Pkexec:    Pkexec{File: "/usr/bin/pkexec", Installed: true, Setuid: true},
		Session:   Session{Bus: true, Tray: true, Agent: "xfce-polkit"},
		Settings:  Configuration{File: "/etc/immutray/config.toml"},
		Scratch:   "/run",
	}
}

// fstab returns these lines of one.
func fstab(t *testing.T, lines ...string) []FstabLine {
	t.Helper()
	parsed, err := parseFstab(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestExamine(t *testing.T) {
	lines := func(options ...string) (lines []FstabLine) {
		for i, o := range options {
			point := []string{"/", "/home/rrs"}[i]
			text := `UUID=u ` + point + ` btrfs subvol=/a\040b,` + o + ` 0 0`
			parsed, err := parseFstab(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			parsed[0].Number = i + 1
			lines = append(lines, parsed...)
		}
		return lines
	}
	for _, c := range []struct {
		name   string
		change func(*Facts)
		check  string // of the one finding that is not ok
		want   Severity
		what   string
		mend   []string
	}{
		{name: "ready", change: func(*Facts) {}},
		{"old kernel", func(f *Facts) { f.Kernel = "5.10.0-30-amd64" }, "kernel", Problem, "too old", nil},
		{"untested kernel", func(f *Facts) { f.Kernel = "5.15.0-119-generic" }, "kernel", Warning, "older than the versions that Immutray is tested with", nil},
		{"no kernel version", func(f *Facts) { f.Kernel = "" }, "kernel", Problem, "too old", nil},
		{
			"directory",
			func(f *Facts) {
				f.Paths[1].Unfit, f.Paths[1].Subvolume, f.Paths[1].Point = true, false, "/"
			},
			"protected-path", Problem, "/etc has no subvolume and mount of its own", []string{"set -C", `printf '%s\n' 'paths = ["/"]' >/etc/immutray/config.toml`},
		},
		{
			"directory, with a configuration",
			func(f *Facts) {
				f.Paths[1].Unfit, f.Paths[1].Subvolume, f.Paths[1].Point, f.Settings.Exists = true, false, "/", true
			},
			"protected-path", Problem, "/etc has no subvolume and mount of its own", nil,
		},
		{
			"nested, not mounted",
			func(f *Facts) { f.Paths[1].Unfit, f.Paths[1].Point = true, "/" },
			"protected-path", Problem, "/etc is a subvolume, but has no mount", []string{
				"mount -t btrfs -o subvol=/ROOTVOL/etc,defaults UUID=u $dir/try",
				`printf '%s\n' 'UUID=u /etc btrfs subvol=/ROOTVOL/etc,defaults 0 0' >$dir/fstab`,
			},
		},
		{"something over a subvolume", func(f *Facts) { f.Paths[1].OnTop, f.Paths[1].Btrfs = "overlay", false }, "protected-path", Warning, "the subvolume of /etc is hidden: another mount (overlay) is on top of it", nil},
		{"other file system", func(f *Facts) { f.Paths[0].Btrfs = false }, "protected-path", Problem, "/ is not on btrfs", nil},
		{
			"directory on another file system",
			func(f *Facts) { f.Paths[1] = Path{Place: Place{Name: "/etc", Real: "/etc"}, Unfit: true} },
			"protected-path", Problem, "/etc is a directory", nil,
		},
		{
			"absent",
			func(f *Facts) { f.Paths[1] = Path{Place: Place{Name: "/opt"}, Unfit: true} },
			"protected-path", Problem, "/opt is not a directory", nil,
		},
		{
			"island",
			func(f *Facts) {
				f.Lines = fstab(t, "UUID=u / btrfs ro,subvol=ROOTVOL,noatime,x-systemd.growfs,nofail")
				f.Frozen = []Place{{Name: "/srv", Real: "/srv/it's here", Point: "/", Btrfs: true, UUID: "u", Inside: "/ROOTVOL/srv/it's here"}}
			},
			"writable-island", Problem, "/srv would become read-only", []string{
				"mount -t btrfs -o subvolid=5 UUID=u $dir/top",
				`btrfs subvolume create $dir/top'/srv-it'\''s here'`,
				`cp -ax --reflink=auto $dir/top'/ROOTVOL/srv/it'\''s here'/. $dir/top'/srv-it'\''s here'/`,
				`printf '%s\n' 'UUID=u /srv/it'\''s\040here btrfs subvol=/srv-it'\''s\040here,noatime 0 0' >$dir/fstab`,
			},
		},
		{
			"islands in /var, before what is mounted in there, and where the name is taken",
			func(f *Facts) {
				f.Lines = fstab(t, "UUID=u / btrfs subvol=/ROOTVOL", "UUID=u\t/var/log\tbtrfs  subvol=/log")
				f.Taken = []string{"/ROOTVOL", "/var"}
				f.Frozen = []Place{{Name: "/var", Real: "/var", Point: "/", Btrfs: true, UUID: "u", Inside: "/ROOTVOL/var", Islands: []string{"/var/lib", "/var/tmp"}}}
			},
			"writable-island", Problem, "/var/lib and /var/tmp would become read-only", []string{
				"btrfs subvolume create $dir/top/var.1",
				`sed -e '/^UUID=u[[:blank:]][[:blank:]]*\/var\/log[[:blank:]][[:blank:]]*btrfs[[:blank:]][[:blank:]]*subvol=\/log$/i\UUID=u /var btrfs subvol=/var.1,defaults 0 0' "$fstab" >|"$fstab.immutray"`,
			},
		},
		{
			"island on openSUSE",
			func(f *Facts) {
				f.Paths[0].Inside = "/@/.snapshots/1/snapshot"
				f.Frozen = []Place{{Name: "/srv", Real: "/srv", Point: "/", Btrfs: true, UUID: "u", Inside: "/@/.snapshots/1/snapshot/srv"}}
			},
			"writable-island", Problem, "/srv would become read-only", []string{"btrfs subvolume create $dir/top/@/srv"},
		},
		{
			"/tmp",
			func(f *Facts) { f.Frozen = []Place{{Name: "/tmp", Real: "/tmp"}} },
			"writable-island", Problem, "/tmp would become read-only",
			[]string{`printf '%s\n' 'tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0' >$dir/fstab`},
		},
		{
			"/tmp that fstab has",
			func(f *Facts) {
				f.Frozen, f.Lines = []Place{{Name: "/tmp", Real: "/tmp"}}, fstab(t, "tmpfs /tmp tmpfs x-systemd.automount")
			},
			"writable-island", Problem, "/tmp would become read-only", nil,
		},
		{
			"nested",
			func(f *Facts) {
				f.Nested = []Place{{Name: "/srv", Real: "/srv", Point: "/", Btrfs: true, UUID: "u", Inside: "/ROOTVOL/srv", Subvolume: true}}
			},
			"nested-subvolume", Problem, "/srv is a subvolume", []string{"mv -T $dir/top/ROOTVOL/srv $dir/top/srv", "mkdir $dir/top/ROOTVOL/srv"},
		},
		{
			"nested, and needed to boot",
			func(f *Facts) {
				f.Nested = []Place{{Name: "/boot", Real: "/boot", Point: "/", Btrfs: true, UUID: "u", Inside: "/ROOTVOL/boot", Subvolume: true}}
			},
			"nested-subvolume", Problem, "/boot is a subvolume", nil,
		},
		{
			"nested, and not all seen",
			func(f *Facts) {
				f.Nested = []Place{{Name: "/srv", Real: "/srv", Point: "/", Btrfs: true, UUID: "u", Inside: "/ROOTVOL/srv", Subvolume: true}}
				f.Blind = []string{"nested-subvolume"}
			},
			"nested-subvolume", Problem, "/srv is a subvolume", nil,
		},
		{name: "swap elsewhere", change: func(f *Facts) { f.Swaps = []Swap{{File: "/swap/swapfile"}} }},
		{
			"swap in /",
			func(f *Facts) {
				f.Swaps = []Swap{{File: "/swap.img", KiB: 1020, Protected: "/"}}
				f.SwapPoint = "/swap"
				f.Lines = fstab(t, "/swap.img none swap sw,pri=5 0 0")
			},
			"swap", Problem, "the swap file /swap.img is in the subvolume of /", []string{
				"btrfs subvolume create $dir/top/swap",
				"mount -t btrfs -o subvol=/swap,defaults UUID=u /swap",
				"btrfs filesystem mkswapfile --size 1024k /swap/swapfile",
				"swapon /swap/swapfile",
				`-e '/^\/swap\.img[[:blank:]][[:blank:]]*none[[:blank:]][[:blank:]]*swap[[:blank:]][[:blank:]]*sw,pri=5[[:blank:]][[:blank:]]*0[[:blank:]][[:blank:]]*0$/c\/swap/swapfile none swap sw,pri=5 0 0'`,
				`mv -f "$fstab.immutray" "$fstab"`,
				"swapoff /swap.img",
				"rm -f /swap.img",
			},
		},
		{
			"ro in fstab", func(f *Facts) { f.Lines = lines("defaults,ro", "defaults") }, "fstab", Warning, "/ has the option ro in line 1",
			[]string{`/c\UUID=u / btrfs subvol=/a\\040b,defaults,ro=vfs 0 0'`},
		},
		{
			"ro in fstab, no ro=vfs yet",
			func(f *Facts) { f.Lines, f.UtilLinux = lines("ro", "defaults"), "2.40" },
			"fstab", Warning, "/ has the option ro in line 1",
			[]string{`/c\UUID=u / btrfs subvol=/a\\040b,rw 0 0'`},
		},
		{"ro in fstab, unknown mount", func(f *Facts) { f.Lines, f.UtilLinux = lines("ro", "rw"), "" }, "fstab", Warning, "/ has the option ro", nil},
		{name: "ro in fstab, old mount", change: func(f *Facts) { f.Lines, f.UtilLinux = lines("ro", "defaults"), "2.38" }},
		{name: "ro in fstab, nothing writable", change: func(f *Facts) { f.Lines = lines("ro", "ro") }},
		{name: "ro in fstab, taken back", change: func(f *Facts) { f.Lines = lines("ro,rw", "defaults") }},
		{name: "ro=vfs in fstab", change: func(f *Facts) { f.Lines = lines("ro=vfs", "defaults") }},
		{
			"island with nofail",
			func(f *Facts) {
				f.Lines = fstab(t, "UUID=u / btrfs defaults", `UUID=u /var/log btrfs subvol=/a\040b,nofail 0 0`)
			},
			"fstab", Warning, "/var/log has the option nofail in line 2",
			[]string{`/c\UUID=u /var/log btrfs subvol=/a\\040b,nofail,x-systemd.automount 0 0'`},
		},
		{
			"island with noauto", func(f *Facts) { f.Lines = fstab(t, "UUID=u /tmp btrfs noauto,user") }, "fstab", Warning,
			"/tmp has the option noauto in line 1", []string{`/c\UUID=u /tmp btrfs noauto,user,x-systemd.automount'`},
		},
		{
			"island in a mount with nofail",
			func(f *Facts) { f.Lines = fstab(t, "UUID=u /var ext4 nofail 0 2", "UUID=u /var/lib btrfs rw") },
			"fstab", Warning, "/var has the option nofail in line 1",
			[]string{`/c\UUID=u /var ext4 nofail,x-systemd.automount 0 2'`},
		},
		{
			"home with noauto", func(f *Facts) { f.Lines = fstab(t, "UUID=u /home/rrs btrfs noauto") }, "fstab", Warning,
			"/home/rrs has the option noauto", []string{`/c\UUID=u /home/rrs btrfs noauto,x-systemd.automount'`},
		},
		{name: "home with noauto in a /home of its own", change: func(f *Facts) {
			f.Lines = fstab(t, "UUID=u /home ext4 defaults", "UUID=u /home/rrs btrfs noauto")
		}},
		{name: "no island with noauto", change: func(f *Facts) {
			f.Lines = fstab(t, "UUID=u /media/rrs btrfs noauto", "UUID=u /var/lib/images ext4 nofail", "/swapfile none swap nofail")
		}},
		{name: "a protected path with nofail", change: func(f *Facts) { f.Lines = fstab(t, "UUID=u / btrfs nofail") }},
		{name: "island with an automount", change: func(f *Facts) { f.Lines = fstab(t, "UUID=u /tmp btrfs nofail,x-systemd.automount") }},
		{name: "island with nofail, taken back", change: func(f *Facts) { f.Lines = fstab(t, "UUID=u /tmp btrfs noauto,nofail,fail,auto") }},
		{"no seal", func(f *Facts) { f.Seal = Seal{} }, "seal", Warning, "not installed", nil},
		{"seal not enabled", func(f *Facts) { f.Seal.Enabled = false }, "seal", Warning, "not enabled", []string{"systemctl enable " + sealUnit}},
		{
			"seal without unseal", func(f *Facts) { f.Seal.Alone = true }, "seal", Warning, "the word rw does not unlock",
			[]string{"systemctl reenable " + sealUnit},
		},
		{
			"seal skipped", func(f *Facts) { f.Seal.Skipped = "the kernel command line has the word rw" }, "seal", Warning,
			"this boot was not sealed: the kernel command line has the word rw", nil,
		},
		{
			"seal masked", func(f *Facts) { f.Seal.Masked = true }, "seal", Warning, "masked",
			[]string{"systemctl unmask " + sealUnit, "systemctl enable " + sealUnit},
		},
		{
			"the classic seal", func(f *Facts) { f.Seal.Override = "/etc/systemd/system/" + sealUnit }, "seal", Warning, "replaces the seal",
			[]string{"rm /etc/systemd/system/" + sealUnit, "systemctl daemon-reload", "systemctl reenable " + sealUnit},
		},
		{"no pkexec", func(f *Facts) { f.Pkexec.Installed = false }, "pkexec", Problem, "not installed", []string{"apt install pkexec"}},
		{
			"no pkexec on Fedora",
			func(f *Facts) { f.Pkexec.Installed, f.Distribution = false, distribution.Distribution{"fedora"} },
			"pkexec", Problem, "not installed", []string{"dnf install polkit"},
		},
		{
			"no pkexec, who knows where",
			func(f *Facts) { f.Pkexec.Installed, f.Distribution = false, nil },
			"pkexec", Problem, "not installed", nil,
		},
		{
			"pkexec without setuid", func(f *Facts) { f.Pkexec.Setuid = false }, "pkexec", Problem, "does not run as root",
			[]string{"chown root: /usr/bin/pkexec", "chmod 4755 /usr/bin/pkexec"},
		},
		{"no agent", func(f *Facts) { f.Session.Agent = "" }, "polkit-agent", Warning, "no known polkit agent", []string{"apt install mate-polkit"}},
		{"no tray", func(f *Facts) { f.Session.Tray = false }, "tray", Warning, "no tray", nil},
		{
			"no tray on GNOME",
			func(f *Facts) { f.Session.Tray, f.Session.Desktop = false, "ubuntu:GNOME" },
			"tray", Warning, "no tray", []string{"apt install gnome-shell-extension-appindicator"},
		},
		{name: "no session", change: func(f *Facts) { f.Session = Session{} }},
	} {
		f := ready()
		c.change(&f)
		r := Examine(f)
		got := without(r, OK)
		if r.Ready != (c.want != Problem) {
			t.Errorf("%s: Ready = %v", c.name, r.Ready)
		}
		if c.check == "" {
			if len(got) != 0 {
				t.Errorf("%s: Examine() found %+v", c.name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Check != c.check || got[0].Severity != c.want || !strings.Contains(got[0].What, c.what) || !contains(got[0].Mend, c.mend) {
			t.Errorf("%s: Examine() found %+v\nwant %s %s %q, mended by %q", c.name, got, c.want, c.check, c.what, c.mend)
			continue
		}
		for _, command := range got[0].Mend {
			if out, err := exec.Command("sh", "-nc", command).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v: %s", c.name, command, err, out)
			}
		}
		f.Locked = true
		if got := without(Examine(f), OK)[0].Mend; len(c.mend) > 0 && got[0] != "immutectl unlock" {
			t.Errorf("%s, locked: mended by %q", c.name, got)
		}
	}
}

// contains reports whether what is wanted stands in the commands, in this order; nothing,
// where nothing is wanted.
func contains(commands, want []string) bool {
	all := strings.Join(commands, "\n")
	for _, w := range want {
		_, after, found := strings.Cut(all, w)
		if !found {
			return false
		}
		all = after
	}
	return len(want) > 0 || all == ""
}

func TestFindingsAreWordedAlike(t *testing.T) {
	bad := Facts{Paths: []Path{{Unfit: true}}, Frozen: []Place{{}}, Nested: []Place{{}}, Swaps: []Swap{{Protected: "/"}}, Session: Session{Bus: true}}
	for _, f := range slices.Concat(Examine(ready()).Findings, Examine(bad).Findings) {
		for _, words := range []string{f.What, f.Why} {
			if words == "" || strings.HasSuffix(words, ".") {
				t.Errorf("%s: %q is empty, or ends in a full stop", f.Check, words)
			}
		}
		if f.Mend == nil {
			t.Errorf("%s: Mend is null in JSON", f.Check)
		}
	}
	if r := Examine(Facts{}); r.Unseen == nil {
		t.Error("Unseen is null in JSON")
	}
}

// Nobody is told that all is well where it could not be seen.
func TestExamineBlind(t *testing.T) {
	f := ready()
	f.Blind = []string{"swap"}
	r := Examine(f)
	if !r.Ready || len(r.Findings) != len(Examine(ready()).Findings)-1 {
		t.Errorf("Examine() = %+v, want nothing about swap", r)
	}
	f.Swaps = []Swap{{File: "/swap.img", Protected: "/"}}
	if r := Examine(f); r.Ready {
		t.Errorf("Examine() = %+v, want the swap file that was seen", r)
	}
}

func TestAtLeast(t *testing.T) {
	for version, want := range map[string]bool{
		"5.12": true, "5.12.0-rc1": true, "6.1.0-30-amd64": true, "10.0": true, "5.12+": true,
		"5.11.22": false, "5.2": false, "4.19": false, "": false, "next": false,
	} {
		if got := atLeast(version, 5, 12); got != want {
			t.Errorf("atLeast(%q, 5, 12) = %v, want %v", version, got, want)
		}
	}
}
