package mount

import (
	"slices"
	"strings"
	"testing"
)

// A mount hides what is mounted at the same place below it, and not what it lies in.
func TestBelow(t *testing.T) {
	const more = "36 34 0:43 / /var/lib rw - overlay confext rw\n37 27 0:44 / /etc rw - tmpfs none rw\n"
	mounts, err := ParseInfo(strings.NewReader(nested + more))
	if err != nil {
		t.Fatal(err)
	}
	for top, want := range map[uint64][]uint64{36: {34, 32}, 34: {32}, 32: nil, 37: nil, 27: nil} {
		m, ok := ByID(mounts, top)
		if !ok {
			t.Fatalf("mount %d is missing", top)
		}
		var got []uint64
		for _, b := range Below(mounts, m) {
			got = append(got, b.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("below %d are %v, want %v", top, got, want)
		}
	}
}

// Another mount shows the same directory where that can be seen, and on no way that may wait
// for somebody.
func TestOpenShowingFindsNoWayOut(t *testing.T) {
	const table = `27 1 0:25 /@ / rw - btrfs /dev/sda2 rw,subvolid=256,subvol=/@
28 27 0:25 /@etc /etc rw - btrfs /dev/sda2 rw,subvolid=257,subvol=/@etc
29 28 0:43 / /etc rw - overlay confext rw
30 27 0:50 / /net rw - nfs4 server:/ rw
31 30 0:25 / /net/top rw - btrfs /dev/sda2 rw,subvolid=5,subvol=/
32 27 0:99 / /other rw - btrfs /dev/sdb2 rw,subvolid=5,subvol=/
`
	mounts, err := ParseInfo(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	hidden, _ := ByID(mounts, 28)
	if dir, err := OpenShowing(mounts, hidden); err != ErrHidden {
		t.Errorf("OpenShowing() = %d, %v, want none", dir, err)
	}
}

func TestCutDir(t *testing.T) {
	for _, c := range []struct {
		name, dir, inside string
		ok                bool
	}{
		{"/@/etc", "/@/etc", "", true},
		{"/@/etc", "/@", "etc", true},
		{"/@/etc", "/", "@/etc", true},
		{"/@etc", "/@", "/@etc", false},
		{"/@", "/@/etc", "/@", false},
		{"/", "/", "", true},
	} {
		if inside, ok := cutDir(c.name, c.dir); ok != c.ok || ok && strings.Trim(inside, "/") != c.inside {
			t.Errorf("cutDir(%s, %s) = %q, %v, want %q, %v", c.name, c.dir, inside, ok, c.inside, c.ok)
		}
	}
}
