package mount

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestParseInfo(t *testing.T) {
	f, err := os.Open("testdata/classic.mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	infos, err := ParseInfo(f)
	if err != nil {
		t.Fatal(err)
	}
	type expectation struct {
		root, filesystem, source string
		readOnly, superReadOnly  bool
	}
	want := map[string]expectation{
		"/proc":                       {"/", "proc", "proc", false, false},
		"/":                           {"/ROOTVOL", "btrfs", "/dev/mapper/nvme0n1p3_crypt", true, false},
		"/etc":                        {"/ROOTVOL/etc", "btrfs", "/dev/mapper/nvme0n1p3_crypt", true, false},
		"/home/rrs":                   {"/ROOTVOL/home/rrs", "btrfs", "/dev/mapper/nvme0n1p3_crypt", false, false},
		"/boot":                       {"/", "ext4", "/dev/nvme0n1p2", false, false},
		"/tmp":                        {"/", "fuse.mergerfs", "/ram-tmp:/disk-tmp", false, false},
		"/media/rrs/USB stick\t\\\nx": {"/", "vfat", "/dev/sdb1", false, true},
		"/odd \xc3(":                  {"/", "tmpfs", "", false, false},
		"/several":                    {"/", "tmpfs", "tmpfs", false, false},
	}
	if len(infos) != len(want) {
		t.Errorf("ParseInfo found %d mounts, want %d", len(infos), len(want))
	}
	for _, info := range infos {
		got := expectation{info.Root, info.Filesystem, info.Source, info.ReadOnly(), info.SuperReadOnly()}
		if w, ok := want[info.Point]; !ok || got != w {
			t.Errorf("mount point %q = %+v, want %+v", info.Point, got, w)
		}
	}
	if infos[1].ID != 27 || infos[1].Device != "0:25" {
		t.Errorf("/ has id %d and device %s, want 27 and 0:25", infos[1].ID, infos[1].Device)
	}
}

func TestParseInfoRefusesWhatIsNoMountTable(t *testing.T) {
	for _, line := range []string{
		"",
		"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 ext3 /dev/root rw",
		"36 35 98:0 / / rw -",
		"36 35 98:0 / / rw - ext3 /dev/root",
		"x 35 98:0 / / rw - ext3 /dev/root rw",
		"-1 35 98:0 / / rw - ext3 /dev/root rw",
		strings.Repeat("a", maxLine+1),
	} {
		if infos, err := ParseInfo(strings.NewReader(line + "\n")); err == nil {
			t.Errorf("ParseInfo(%.60q) = %+v, want an error", line, infos)
		}
	}
}

func TestHasOption(t *testing.T) {
	for _, c := range []struct {
		options string
		want    bool
	}{
		{"ro", true}, {"rw,ro", true}, {"ro,rw", true}, {"rw", false}, {"", false}, {"rw,errors=remount-ro", false}, {"rox,xro", false}, {"rw,", false},
	} {
		if got := hasOption(c.options, "ro"); got != c.want {
			t.Errorf("hasOption(%q, ro) = %v, want %v", c.options, got, c.want)
		}
	}
}

func FuzzParseInfo(f *testing.F) {
	for _, name := range []string{"testdata/classic.mountinfo", "/proc/self/mountinfo"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		for line := range bytes.Lines(data) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		infos, err := ParseInfo(bytes.NewReader(data))
		if err != nil {
			return
		}
		if lines := bytes.Count(data, []byte("\n")) + 1; len(infos) > lines {
			t.Errorf("%d mounts out of %d lines", len(infos), lines)
		}
		for _, info := range infos {
			if strings.ContainsRune(info.SuperOptions, ' ') {
				t.Errorf("options hold a blank: %+v", info)
			}
		}
	})
}
