// Practice runs the applet on a practice system: a btrfs image with the subvolumes of the
// classic layout as the root directory, in namespaces of its own. Nothing of the machine is
// touched, and nothing is left behind.
//
// It is what "make run" runs. With a terminal it gives a shell in the system, and
// a desktop; without one it plays a tour and keeps a picture of each step.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
	"immutray.org/packaging/tryout/pkexec"
	"immutray.org/packaging/tryout/system"
	"immutray.org/packaging/tryout/tour"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if pkexec.Invoked() {
		os.Exit(pkexec.Main(system.Authority, os.Args[1:]))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line's.
type options struct {
	staged   string
	pictures string
	tour     bool
	host     hostSession
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("practice", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.staged, "staged", "", "the `directory` that \"make install\" filled as DESTDIR")
	flags.StringVar(&o.pictures, "pictures", "build/tour", "the `directory` for the pictures of the tour")
	flags.BoolVar(&o.tour, "tour", false, "play the tour although there is a terminal")
	o.host.flags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 || o.staged == "" {
		fmt.Fprintln(stderr, "usage: practice -staged DIRECTORY [-pictures DIRECTORY] [-tour]")
		return nil, fmt.Errorf("wrong arguments")
	}
	var err error
	if o.staged, err = filepath.Abs(o.staged); err != nil {
		return nil, err
	}
	o.pictures, err = filepath.Abs(o.pictures)
	return o, err
}

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return exitUsage
	}
	if os.Geteuid() != 0 {
		return asRoot(args, stderr)
	}
	if err := lab.Unusable(); err != nil {
		fmt.Fprintln(stderr, "practice: error: no practice system can be built here:", err)
		return exitFailed
	}
	if err := makePictures(o.pictures); err != nil {
		fmt.Fprintln(stderr, "practice: error:", err)
		return exitFailed
	}
	code, inside := lab.Enter()
	if !inside {
		return code
	}
	if err := practise(o, stdout); err != nil {
		fmt.Fprintln(stderr, "practice: error:", err)
		return exitFailed
	}
	return exitDone
}

// makePictures makes the directory for the pictures and gives it to the owner of the
// directory above, because root works here for a person.
func makePictures(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return chownLike(filepath.Dir(dir), dir)
}

func chownLike(model, path string) error {
	var info unix.Stat_t
	if err := unix.Stat(model, &info); err != nil {
		return err
	}
	return os.Chown(path, int(info.Uid), int(info.Gid))
}

// pictures is where the directory for the pictures is in the practice system.
const pictures = system.RunDir + "/pictures"

// practise runs in the namespaces: it becomes the practice system and lets the
// person, or the tour, work in it.
func practise(o *options, stdout io.Writer) error {
	interactive := !o.tour && isTerminal(os.Stdin)
	so := system.Options{
		Staged: o.staged,
		Pkexec: "/proc/self/exe",
		Person: system.DefaultPerson(),
		Keep:   []system.Kept{{Source: o.pictures, Target: pictures}},
	}
	if interactive {
		return practiseByHand(o, so, stdout)
	}
	if err := system.Become(so); err != nil {
		return err
	}
	t := tour.Tour{Person: so.Person, Pictures: pictures, ShownAs: o.pictures, Out: stdout}
	if err := t.Run(); err != nil {
		return err
	}
	return chownPictures()
}

func chownPictures() error {
	all, err := filepath.Glob(filepath.Join(pictures, "*.png"))
	if err != nil {
		return err
	}
	for _, path := range all {
		if err := chownLike(pictures, path); err != nil {
			return err
		}
	}
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
