package doctor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/mount"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// A patient is a machine in the lab, installed below a directory.
type patient struct{ *System }

// newPatient puts what a ready machine has apart from its layout below root.
func newPatient(t *testing.T, s *lab.System, root string) *patient {
	t.Helper()
	p := &patient{&System{
		Root:    root,
		Proc:    filepath.Join(s.Dir, "proc"),
		Scratch: "/run",
		Session: func(context.Context) Session {
			return Session{Bus: true, Tray: true, Agent: "xfce-polkit"}
		},
	}}
	p.Config = config.Default()
	p.Config.Paths = []string{root, filepath.Join(root, "etc")}
	p.Config.Islands = nil
	for _, dir := range []string{"usr/bin", "usr/lib/systemd/system", "etc/systemd/system/sysinit.target.wants"} {
		mkdir(t, filepath.Join(root, dir))
	}
	mkdir(t, filepath.Join(p.Proc, "self"))
	write(t, filepath.Join(p.Proc, "swaps"), "Filename Type Size Used Priority\n")
	if err := os.Symlink("/proc/self/mountinfo", filepath.Join(p.Proc, "self/mountinfo")); err != nil {
		t.Fatal(err)
	}
	pkexec := filepath.Join(root, "usr/bin/pkexec")
	write(t, pkexec, "")
	if err := os.Chmod(pkexec, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sealUnit, unsealUnit} {
		unit := filepath.Join(root, "usr/lib/systemd/system", name)
		write(t, unit, "")
		if err := os.Symlink(unit, filepath.Join(root, "etc/systemd/system/sysinit.target.wants", name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "etc/fstab"), "# comment\n")
	return p
}

func (p *patient) examine() Report { return Examine(p.Gather(context.Background())) }

func TestTheClassicLayoutIsReady(t *testing.T) {
	s := lab.New(t)
	p := newPatient(t, s, s.Root)
	p.Config.Islands = s.IslandPaths()
	r := p.examine()
	if got := without(r, OK); !r.Ready || len(got) != 0 || len(r.Unseen) != 0 {
		t.Errorf("Examine() = %+v, unseen %q, want it ready", got, r.Unseen)
	}
	if r := asNobody(t, p); !r.Ready || len(r.Unseen) != 0 {
		t.Errorf("a user gets %+v, unseen %q, want it ready", without(r, OK), r.Unseen)
	}
}

// What lies over /etc is told, and is not taken for /etc itself.
func TestAHiddenSubvolume(t *testing.T) {
	s := lab.New(t)
	p := newPatient(t, s, s.Root)
	p.Config.Islands = s.IslandPaths()
	run(t, "mount", "-t", "overlay", "overlay", "-o", "lowerdir="+s.Etc+":"+s.State, s.Etc)
	defer unix.Unmount(s.Etc, unix.MNT_DETACH)
	r := p.examine()
	got := without(r, OK)
	want := "the subvolume of " + s.Etc + " is hidden: another mount (overlay) is on top of it"
	if len(got) != 1 || got[0].What != want || got[0].Severity != Warning || !r.Ready || len(r.Unseen) != 0 {
		t.Errorf("Examine() = %+v, ready %v, unseen %q, want only %q", got, r.Ready, r.Unseen, want)
	}
}

// asNobody examines as a user who owns nothing, in a thread that ends with it.
func asNobody(t *testing.T, p *patient) Report {
	t.Helper()
	reports := make(chan Report)
	go func() {
		defer close(reports)
		runtime.LockOSThread() // and never unlocked: the thread is nobody's for good
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
				t.Error(errno)
				return
			}
		}
		reports <- p.examine()
	}()
	return <-reports
}

// nobody is the user id of the user nobody.
const nobody = 65534

// A user can't see where a nested subvolume is in another's directory, and is told so.
func TestNestedSubvolumes(t *testing.T) {
	s := lab.New(t)
	p := newPatient(t, s, s.Root)
	p.Config.Islands = s.IslandPaths()
	secret := filepath.Join(s.Root, "root")
	mkdir(t, filepath.Join(secret, "below"))
	chmod(t, secret, 0o700)
	for _, name := range []string{"root/below/hidden", "srv", "snapshot", "etc/nested"} {
		run(t, "btrfs", "subvolume", "create", filepath.Join(s.Root, name))
	}
	run(t, "btrfs", "property", "set", "-ts", filepath.Join(s.Root, "snapshot"), "ro", "true")
	names := func(r Report) (names []string) {
		for _, f := range without(r, OK) {
			name, _, _ := strings.Cut(strings.TrimPrefix(f.What, s.Root+"/"), " ")
			names = append(names, f.Check+" "+name)
		}
		slices.Sort(names)
		return names
	}
	want := []string{"nested-subvolume etc/nested", "nested-subvolume root/below/hidden", "nested-subvolume srv"}
	if r := p.examine(); r.Ready || !slices.Equal(names(r), want) || len(r.Unseen) != 0 {
		t.Errorf("root finds %q, unseen %q, want %q", names(r), r.Unseen, want)
	}
	want = slices.Delete(want, 1, 2)
	unseen := "a nested subvolume of " + s.Root + ": only root can see where it is"
	if r := asNobody(t, p); !slices.Equal(names(r), want) || !slices.Equal(r.Unseen, []string{unseen}) {
		t.Errorf("a user finds %q, unseen %q, want %q and %q", names(r), r.Unseen, want, unseen)
	}
}

// Where everybody's home is missing it is /home that moves.
func TestWholeHome(t *testing.T) {
	lab.New(t) // only in a lab may /home be covered
	run(t, "mount", "-t", "tmpfs", "none", config.HomeIsland)
	t.Cleanup(func() { unix.Unmount(config.HomeIsland, unix.MNT_DETACH) })
	g := &gatherer{System: &System{Config: config.Default()}, tree: mount.NewTree(nil)}
	expect := func(frozen, want []string) {
		t.Helper()
		if got := g.wholeHome(slices.Clone(frozen)); !slices.Equal(got, want) {
			t.Errorf("wholeHome(%q) = %q, want %q", frozen, got, want)
		}
	}
	expect([]string{"/var/lib"}, []string{"/var/lib"})
	for _, home := range []string{"ann", "rrs"} {
		mkdir(t, filepath.Join(config.HomeIsland, home))
	}
	expect([]string{"/home/ann", "/home/rrs", "/var/lib"}, []string{"/home", "/var/lib"})
	expect([]string{"/home/ann", "/var/lib"}, []string{"/home/ann", "/var/lib"})
	g.Config.Islands = nil
	expect([]string{"/home/ann", "/home/rrs"}, []string{"/home/ann", "/home/rrs"})
}

func without(r Report, s Severity) []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Severity == s })
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}
