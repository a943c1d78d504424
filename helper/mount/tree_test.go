package mount

import (
	"slices"
	"strings"
	"testing"
)

// A machine with a directory of an automount, two mounts over each other, and one that a
// later one hides.
const nested = `27 1 0:25 /@ / rw shared:1 - btrfs /dev/sda2 rw,subvolid=256,subvol=/@
30 27 0:30 / /home rw shared:2 - autofs systemd-1 rw,fd=42
31 27 0:25 /@var /var rw shared:3 - btrfs /dev/sda2 rw,subvolid=258,subvol=/@var
32 31 0:40 / /var/lib rw shared:4 - ext4 /dev/sdb1 rw
33 32 0:41 / /var/lib/app rw shared:5 - ext4 /dev/sdc1 rw
34 32 0:25 /@/opt /var/lib rw shared:6 - btrfs /dev/sda2 rw,subvolid=256,subvol=/@
35 27 0:42 / /media/a\040b rw shared:7 - vfat /dev/sdd1 rw
`

func TestOver(t *testing.T) {
	mounts, err := ParseInfo(strings.NewReader(nested))
	if err != nil {
		t.Fatal(err)
	}
	tree := NewTree(mounts)
	for path, want := range map[string][]uint64{
		"/":                 {27},
		"/etc":              {27},
		"/home":             {27, 30},
		"/home/ann":         {27, 30},
		"/homeless":         {27},
		"/var":              {27, 31},
		"/var/lib":          {27, 31, 32, 34},
		"/var/lib/app/data": {27, 31, 32, 34}, // what is on the mount below can't be reached
		"/media/a b/file":   {27, 35},
	} {
		var got []uint64
		for _, m := range tree.Over(path) {
			got = append(got, m.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Over(%s) = %v, want %v", path, got, want)
		}
	}
	for _, m := range mounts {
		if got, want := tree.Shows(m), m.ID != 32 && m.ID != 33; got != want {
			t.Errorf("Shows(%d at %s) = %v, want %v", m.ID, m.Point, got, want)
		}
	}
}

func TestSuperOption(t *testing.T) {
	m := Info{SuperOptions: `rw,lowerdir=/a:/b,upperdir=/up\054per\040dir,workdir=/w,upperdirs=x`}
	if got, ok := m.SuperOption("upperdir"); !ok || got != "/up,per dir" {
		t.Errorf("upperdir = %q, %v", got, ok)
	}
	if got, ok := m.SuperOption("subvolid"); ok {
		t.Errorf("subvolid = %q", got)
	}
}
