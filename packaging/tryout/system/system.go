// Package system turns the lab's btrfs into the real root directory of a practice
// system: / and /etc are subvolumes as in the classic layout, /usr is the machine's with the
// programs under test laid over it, and everything else a desktop needs is a copy
// or a bind mount. Programs run in it with their real defaults, at their real
// paths. It lives in the lab's namespaces and ends with them.
package system

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
	"immutray.org/packaging/tryout/pkexec"
)

// RunDir holds what the practice system itself needs while it runs.
const RunDir = "/run/practice"

// Authority is the socket at which the stand-in for pkexec asks.
const Authority = RunDir + "/authority"

// A Person is the user of the practice system's desktop.
type Person struct {
	Name string
	UID  uint32
	GID  uint32
}

// Home is the subvolume for the home directory of a person that the lab makes.
func (p Person) Home() string { return "/home/rrs" }

// RuntimeDir is the person's XDG_RUNTIME_DIR.
func (p Person) RuntimeDir() string { return fmt.Sprintf("/run/user/%d", p.UID) }

// DefaultPerson is the user of the classic layout.
func DefaultPerson() Person { return Person{Name: "rrs", UID: 1000, GID: 1000} }

// Options say what goes into the system.
type Options struct {
	// Staged is a directory that "make install" filled.
	Staged string
	// Pkexec is the program to be installed as pkexec.
	Pkexec string
	Person Person
	// Keep is what stays reachable of the machine.
	Keep []Kept
}

// A Kept is a directory or file of the machine, and where it is found in the
// practice system. That must not be below /home: what is there has to be a
// subvolume of its own, or the system can't be locked.
type Kept struct{ Source, Target string }

// KeptInPlace is kept at its own path.
func KeptInPlace(path string) Kept { return Kept{Source: path, Target: path} }

// Become builds the system and makes it the root directory of every process in
// the lab's namespaces. It can't be undone: the namespaces have to end.
func Become(o Options) error {
	if err := become(o); err != nil {
		return fmt.Errorf("cannot build the practice system: %w", err)
	}
	return nil
}

func become(o Options) error {
	if !lab.Inside() {
		return fmt.Errorf("refusing to change the root directory outside the lab's namespaces")
	}
	dir, err := os.MkdirTemp(lab.Base, "practice")
	if err != nil {
		return err
	}
	// Below it is the new root, which everyone must reach.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	base, err := lab.Build(dir)
	if err != nil {
		return err
	}
	b := &builder{root: base.Root, person: o.Person}
	steps := []func() error{
		b.skeleton,
		b.usr,
		b.etc,
		b.state,
		b.home,
		b.specialMounts,
		func() error { return b.install(o.Staged) },
		// With the bit that the doctor looks for, and that has no effect there: see usr.
		func() error { return copyFile(o.Pkexec, b.path("usr/bin/pkexec"), 0o755|os.ModeSetuid) },
		func() error { return b.keep(o.Keep) },
		b.pivot,
		serveAuthority,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// A builder fills the new root directory.
type builder struct {
	root   string
	person Person
}

func (b *builder) path(name string) string { return filepath.Join(b.root, name) }

func (b *builder) mkdir(name string, mode os.FileMode) error {
	if err := os.MkdirAll(b.path(name), 0o755); err != nil {
		return err
	}
	// MkdirAll applies the umask, which must not take permissions away here.
	return os.Chmod(b.path(name), mode)
}

func (b *builder) mkdirOwned(name string, mode os.FileMode) error {
	if err := b.mkdir(name, mode); err != nil {
		return err
	}
	return os.Chown(b.path(name), int(b.person.UID), int(b.person.GID))
}

// pivot makes the new root the real one, of this process and of PID 1, and lets
// go of the machine's.
func (b *builder) pivot() error {
	if err := os.Chdir(b.root); err != nil {
		return err
	}
	// Both at the same place: the old root is then mounted over the new one, and
	// off comes the topmost (pivot_root(2), NOTES).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("cannot pivot to %s: %w", b.root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot let go of the machine's root: %w", err)
	}
	return os.Chdir("/")
}

// serveAuthority answers the stand-in for pkexec until the process ends.
func serveAuthority() error {
	authority := &pkexec.Authority{Program: helper.HelperPath}
	if err := authority.Listen(Authority); err != nil {
		return err
	}
	go func() {
		if err := authority.Serve(); err != nil {
			fmt.Fprintln(os.Stderr, "practice: no one answers pkexec any more:", err)
		}
	}()
	return nil
}
