package boot

import (
	"os"
	"path/filepath"
	"testing"

	"immutray.org/helper"
)

const (
	saysRw    = "the kernel command line has the word rw"
	update    = "an update is waiting to be installed"
	threeLost = "the last 3 boots did not come up"
)

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name, line string
		verb       helper.Verb
		why        string
	}{
		{"the classic layout", "BOOT_IMAGE=/vmlinuz root=UUID=1 ro rootflags=subvol=ROOTVOL quiet splash\n", helper.Seal, ""},
		{"nothing", "", helper.Seal, ""},
		{"rw", "root=/dev/sda1 ro quiet rw\n", helper.Unseal, saysRw},
		{"rw first", "rw root=/dev/sda1", helper.Unseal, saysRw},
		{"rw before ro", "root=/dev/sda1 rw ro", helper.Unseal, saysRw},
		{"rw in quotes", `root=/dev/sda1 "rw"`, helper.Unseal, saysRw},
		{"rw for init", "root=/dev/sda1 -- rw", helper.Unseal, saysRw},
		{"rw between other blanks", "ro\trw\n", helper.Unseal, saysRw},
		{"rw after a quoted word", `dyndbg="file x +p" rw`, helper.Unseal, saysRw},
		{"rw in rootflags", "rootflags=subvol=@,rw", helper.Seal, ""},
		{"rw as a value", "foo=rw", helper.Seal, ""},
		{"rw with a value", "rw=1", helper.Seal, ""},
		{"rw with an empty value", "rw=", helper.Seal, ""},
		{"rw in another word", "rwx xrw rw- systemd.rw foo.rw * -n", helper.Seal, ""},
		{"rw in a device's name", "root=/dev/mapper/rw", helper.Seal, ""},
		{"rw in a unit's name", "systemd.wants=foo-rw.target", helper.Seal, ""},
		{"rw inside quotes", `foo="bar rw baz" "a rw b"`, helper.Seal, ""},
		{"rw in capitals", "RW", helper.Seal, ""},

		{"rescue", "ro rescue", "", "the computer was started in rescue mode"},
		{"emergency", "ro emergency", "", "the computer was started in emergency mode"},
		{"single", "ro single", "", "the computer was started in rescue mode"},
		{"rescue target", "ro systemd.unit=rescue.target", "", "the computer was started in rescue mode"},
		{"initrd's rescue only", "ro rd.rescue rd.systemd.unit=rescue.target rd.emergency", helper.Seal, ""},
		{"another target", "ro systemd.unit=multi-user.target", helper.Seal, ""},
		{"rescue, then another target", "ro rescue systemd.unit=graphical.target", helper.Seal, ""},
		{"rescue as a value", "foo=rescue rescue=1 systemd.wants=rescue.target", helper.Seal, ""},
		// In these modes too: rw is said by whoever sits at the computer.
		{"rw and rescue", "ro rescue rw", helper.Unseal, saysRw},
		{"rw and emergency", "emergency rw", helper.Unseal, saysRw},
	} {
		t.Run(test.name, func(t *testing.T) {
			verb, why := Facts{CommandLine: []byte(test.line)}.Decide()
			if verb != test.verb || why != test.why {
				t.Errorf("with %q: %q, %q, want %q, %q", test.line, verb, why, test.verb, test.why)
			}
		})
	}
	for _, test := range []struct {
		facts Facts
		verb  helper.Verb
		why   string
	}{
		{Facts{UpdateWaits: true}, helper.Unseal, update},
		{Facts{Unfinished: 2}, helper.Seal, ""},
		{Facts{Unfinished: 3}, helper.Unseal, threeLost},
		{Facts{Unfinished: 4}, helper.Unseal, "the last 4 boots did not come up"},
		{Facts{Unfinished: 3, UpdateWaits: true}, helper.Unseal, update},
		// A target on the command line comes before what the link says.
		{Facts{UpdateWaits: true, CommandLine: []byte("ro 3")}, helper.Seal, ""},
		{Facts{UpdateWaits: true, CommandLine: []byte("ro systemd.unit=multi-user.target")}, helper.Seal, ""},
		{Facts{UpdateWaits: true, CommandLine: []byte("ro rescue")}, "", "the computer was started in rescue mode"},
		{Facts{UpdateWaits: true, CommandLine: []byte("rw")}, helper.Unseal, saysRw},
		{Facts{Unfinished: 9, CommandLine: []byte("ro emergency")}, "", "the computer was started in emergency mode"},
	} {
		if verb, why := test.facts.Decide(); verb != test.verb || why != test.why {
			t.Errorf("%+v: %q, %q, want %q, %q", test.facts, verb, why, test.verb, test.why)
		}
	}
}

func TestRealCommandLines(t *testing.T) {
	for name, want := range map[string]helper.Verb{
		"arch": helper.Unseal, "debian-recovery": "",
		"cloud-vm": helper.Seal, "debian13-btrfs": helper.Seal, "fedora": helper.Seal, "raspberry": helper.Seal,
	} {
		line, err := os.ReadFile("../cmdline/testdata/" + name + ".cmdline")
		if err != nil {
			t.Fatal(err)
		}
		if verb, why := (Facts{CommandLine: line}).Decide(); verb != want {
			t.Errorf("%s: %q, %q, want %q", name, verb, why, want)
		}
	}
}

func TestUpdateWaits(t *testing.T) {
	for _, test := range []struct {
		name   string
		make   func(root string) error
		expect bool
	}{
		{"nothing", func(string) error { return nil }, false},
		{"a link", func(root string) error { return os.Symlink("var/lib", filepath.Join(root, "system-update")) }, true},
		{"a link to nothing", func(root string) error { return os.Symlink("/nowhere", filepath.Join(root, "system-update")) }, true},
		{"the other link", func(root string) error { return os.Symlink("/nowhere", filepath.Join(root, "etc/system-update")) }, true},
		{"a directory", func(root string) error { return os.Mkdir(filepath.Join(root, "system-update"), 0o755) }, true},
		{"another name", func(root string) error { return os.Mkdir(filepath.Join(root, "system-updates"), 0o755) }, false},
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := test.make(root); err != nil {
			t.Fatal(err)
		}
		if got := (Machine{Root: root}).UpdateWaits(); got != test.expect {
			t.Errorf("%s: %v, want %v", test.name, got, test.expect)
		}
		if (Machine{}).UpdateWaits() {
			t.Errorf("%s: an update was found on no machine", test.name)
		}
	}
}
