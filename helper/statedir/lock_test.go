package statedir

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// lockLike has a flock on one file and another open; perl's own open would ask for that
// one's attributes.
const lockLike = `
use POSIX;
open my $l, "+<", $ARGV[0] or die;
flock $l, 2 or die;
defined POSIX::open($ARGV[1], O_RDWR) or die;
$| = 1;
print "ready\n";
<STDIN>;
`

// Any user can lock a file of the same number as that of the lock, on a file system of his
// own, and have files open that make everyone wait who looks at them: that process does not
// have the lock, and keeps no process waiting that asks who has it.
func TestHolderOfAnotherFile(t *testing.T) {
	lab.Require(t, "perl:perl-base")
	server := t.TempDir()
	hung := lab.MountHungServer(t, server)
	var files []*os.File
	for range 2 {
		dir := lab.Dir(t)
		if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		file, err := os.Create(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	cmd := exec.Command("perl", "-e", lockLike, files[1].Name(), filepath.Join(server, "file"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hung.Release(t) // for which its end waits
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("it says %q: %v", line, err)
	}
	turn := &Lock{files[0]}
	if !turn.isOf(cmd.Process.Pid) {
		t.Fatal("its lock is not on a file of that number")
	}
	holder := make(chan int)
	go func() { holder <- turn.Holder() }()
	select {
	case pid := <-holder:
		if pid != 0 {
			t.Errorf("Holder() = %d, want 0", pid)
		}
	case <-time.After(20 * time.Second):
		t.Error("the look for who has the lock hangs")
	}
}
