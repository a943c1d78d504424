package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/packaging/testbed/lab"
)

// A file system that never answers is not asked, wherever it is mounted, and whether or
// not somebody may end the wait: the doctor's own deadlines are not needed.
func TestFileSystemsThatNeverAnswer(t *testing.T) {
	places := map[string]string{
		"/home":           config.HomeIsland,
		"/usr/local":      "usr/local/lib",
		"a linked island": "net",
	}
	for name, place := range places {
		for kind, mounted := range map[string]func(*testing.T, string){"fuse": mountSilentFuse, "automount": mountSilentAutomount} {
			t.Run(name+", "+kind, func(t *testing.T) {
				s := lab.New(t)
				p := newPatient(t, s, s.Root)
				if err := os.Symlink("net/srv", filepath.Join(s.Root, "srv")); err != nil {
					t.Fatal(err)
				}
				place := place
				if !filepath.IsAbs(place) {
					place = filepath.Join(s.Root, place)
				}
				mkdir(t, place)
				mounted(t, place)
				p.Config.Islands = append(s.IslandPaths(), config.HomeIsland, filepath.Join(s.Root, "srv"))
				p.Timeout = time.Minute
				reports := make(chan Report, 1)
				go func() { reports <- p.examine() }()
				select {
				case r := <-reports:
					if !r.Ready {
						t.Errorf("found %+v", without(r, OK))
					}
					if strings.Contains(place, "usr") && !slices.ContainsFunc(r.Unseen, func(u string) bool { return strings.Contains(u, "which may never answer") }) {
						t.Errorf("unseen are only %q", r.Unseen)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("the doctor waits")
				}
			})
		}
	}
}

func mountSilentFuse(t *testing.T, at string) {
	t.Helper()
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		lab.Unavailable(t, fmt.Sprintf("no FUSE here: %v", err))
	}
	t.Cleanup(func() {
		server.Close() // who still waits gets an error
		unix.Unmount(at, unix.MNT_DETACH)
	})
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", server.Fd())
	if err := unix.Mount("silent", at, "fuse.sshfs", 0, options); err != nil {
		t.Fatal(err)
	}
}

func mountSilentAutomount(t *testing.T, at string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Unmount(at, unix.MNT_DETACH)
		read.Close()
		write.Close()
	})
	// For another process group: our own would see the directory itself (autofs(5)).
	options := fmt.Sprintf("fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", write.Fd(), unix.Getpgrp()+1)
	if err := unix.Mount("systemd-1", at, "autofs", 0, options); err != nil {
		lab.Unavailable(t, fmt.Sprintf("no autofs here: %v", err))
	}
}

// What does not answer in time is told, and the rest is looked at.
func TestGatherGivesUp(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	s := Here(config.Default(), config.Path)
	s.Timeout = time.Second
	s.Session = func(context.Context) Session {
		<-never
		return Session{Bus: true, Tray: true}
	}
	begun := time.Now()
	f := s.Gather(context.Background())
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if want := "the desktop: gave up after 1s without an answer"; !slices.Contains(f.Unseen, want) || !slices.Contains(f.Blind, "tray") {
		t.Errorf("unseen %q, blind %q, want %q", f.Unseen, f.Blind, want)
	}
	if len(f.Paths) != 2 || f.Session.Bus {
		t.Errorf("the rest is %+v", f)
	}
}
