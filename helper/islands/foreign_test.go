package islands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/packaging/testbed/lab"
)

// A mount of another file system is an island whatever it answers, and is not asked: it
// may be somebody's own (gocryptfs, sshfs), dead, or never answer.
func TestForeignMounts(t *testing.T) {
	s := lab.New(t)
	run(t, "mount", "-t", "btrfs", "-o", "subvol=/ROOTVOL/var/lib", s.Device, config.HomeIsland)
	defer unix.Unmount(config.HomeIsland, unix.MNT_DETACH)
	island := filepath.Join(s.Root, "srv")
	ann := filepath.Join(config.HomeIsland, "ann")
	mkdir(t, island)
	mkdir(t, ann)
	mkdir(t, filepath.Join(config.HomeIsland, "rrs"))
	cfg := config.Config{
		Paths: []string{s.Root, config.HomeIsland}, Islands: []string{config.HomeIsland, island, filepath.Join(island, "below")},
	}
	for name, c := range map[string]struct {
		options string
		dead    bool
		answer  error // of stat; nil when it never comes
	}{
		"silent":       {options: "user_id=0,group_id=0,allow_other"},
		"another's":    {options: "user_id=1000,group_id=1000", answer: unix.EACCES},
		"dead":         {options: "user_id=1000,group_id=1000,allow_other", dead: true, answer: unix.ENOTCONN},
		"dead of root": {options: "user_id=0,group_id=0", dead: true, answer: unix.ENOTCONN},
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []string{island, ann} {
				server := mountFuse(t, at, "fuse.gocryptfs", "/some/where", c.options)
				if c.dead {
					server.Close()
				}
				expectAnswer(t, at, c.answer)
			}
			found := make(chan []string)
			go func() { found <- frozen(t, cfg) }()
			select {
			case got := <-found:
				if want := []string{"/home/rrs"}; !slices.Equal(got, want) {
					t.Errorf("Find() = %q, want %q", got, want)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("Find() waits for a file system that does not answer")
			}
		})
	}
}

// mountFuse mounts a file system whose server answers nothing, until the test ends.
func mountFuse(t *testing.T, at, kind, source, options string) *os.File {
	t.Helper()
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if errors.Is(err, unix.ENOENT) {
		lab.Unavailable(t, "no /dev/fuse here: modprobe fuse")
	}
	if err != nil {
		t.Fatal(err)
	}
	options = fmt.Sprintf("fd=%d,rootmode=40000,%s", server.Fd(), options)
	if err := unix.Mount(source, at, kind, 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Close()
		if err := unix.Unmount(at, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return server
}

// expectAnswer makes sure that it is as the test wants it to be.
func expectAnswer(t *testing.T, at string, want error) {
	t.Helper()
	answered := make(chan error, 1)
	go func() {
		var st unix.Stat_t
		answered <- unix.Stat(at, &st)
	}()
	timeout := 20 * time.Second
	if want == nil {
		timeout = 200 * time.Millisecond
	}
	select {
	case err := <-answered:
		if !errors.Is(err, want) || want == nil {
			t.Errorf("stat of %s gives %v, want %v", at, err, want)
		}
	case <-time.After(timeout):
		if want != nil {
			t.Errorf("stat of %s does not return, want %v", at, want)
		}
	}
}

// An automount is an island without a look into it. To trigger it could make the seal wait for a
// network that comes up only after it.
func TestAutomount(t *testing.T) {
	s := lab.New(t)
	island := filepath.Join(s.Root, "srv")
	mkdir(t, island)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	options := fmt.Sprintf("fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", write.Fd(), unix.Getpgrp()+1)
	if err := unix.Mount("systemd-1", island, "autofs", 0, options); err != nil {
		lab.Unavailable(t, fmt.Sprintf("no autofs here: %v", err))
	}
	defer unix.Unmount(island, unix.MNT_DETACH)
	cfg := config.Config{Paths: s.Protected(), Islands: []string{island, filepath.Join(island, "below")}}
	if got := frozen(t, cfg); len(got) != 0 {
		t.Errorf("Find() = %q", got)
	}
	if err := read.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := read.Read(make([]byte, 512)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the automount was triggered: %d bytes, %v", n, err)
	}
}
