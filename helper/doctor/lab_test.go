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
	"immutray.org/helper/islands"
	"immutray.org/helper/protected"
	"immutray.org/packaging/practice/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// A patient is a machine in the lab, installed below a directory.
type patient struct {
	*System
	device string
}

// newPatient puts what a ready machine has apart from its layout below root.
func newPatient(t *testing.T, s *lab.System, root string) *patient {
	t.Helper()
	p := &patient{device: s.Device, System: &System{
		Root:       root,
		Proc:       filepath.Join(s.Dir, "proc"),
		Mountpoint: filepath.Join(s.Dir, "mnt"),
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
	mkdir(t, p.Mountpoint)
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

// mend runs the commands of every problem, as root would.
func (p *patient) mend(t *testing.T, r Report) {
	t.Helper()
	for _, f := range r.Findings {
		for _, command := range f.Mend {
			fields := strings.Fields(command)
			switch {
			case fields[0] == "systemctl", fields[0] == "swapoff", fields[0] == "swapon":
				continue // they are about the machine itself
			case fields[0] == "mount" && fields[1] != "-o":
				continue // see restart
			case fields[0] == "mount":
				fields[3] = p.device // a lab has no udev, which knows the UUIDs
				command = strings.Join(fields, " ")
			}
			run(t, "sh", "-ec", command)
		}
	}
}

// restart mounts what fstab says, as the next boot does.
func (p *patient) restart(t *testing.T) {
	t.Helper()
	f, err := os.Open(filepath.Join(p.Root, "etc/fstab"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := parseFstab(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		source := p.device
		if l.Type == "swap" {
			continue
		}
		run(t, "mount", "-t", l.Type, "-o", strings.Join(l.Options, ","), source, l.Point)
		t.Cleanup(func() { unix.Unmount(l.Point, unix.MNT_DETACH) })
	}
}

func TestTheArticlesLayoutIsReady(t *testing.T) {
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

// Debian's installer makes one subvolume. What the doctor says mends it.
func TestAStockLayoutIsMended(t *testing.T) {
	lab.Require(t, "chattr:e2fsprogs")
	s := lab.New(t)
	run(t, "btrfs", "subvolume", "create", filepath.Join(s.Top, "@rootfs"))
	root := filepath.Join(s.Dir, "stock root")
	mkdir(t, root)
	run(t, "mount", "-t", "btrfs", "-o", "subvol=@rootfs", s.Device, root)
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	p := newPatient(t, s, root)
	dirs := []string{"home", "var/lib", "var/log", "var/cache", "var/spool", "var/tmp", "tmp"}
	for _, dir := range dirs {
		dir = filepath.Join(root, dir)
		mkdir(t, dir)
		write(t, filepath.Join(dir, "kept"), dir)
		p.Config.Islands = append(p.Config.Islands, dir)
	}
	chmod(t, filepath.Join(root, "var/tmp"), 0o777|os.ModeSticky)
	journal := filepath.Join(root, "var/log/journal") // which systemd keeps without copy-on-write
	mkdir(t, journal)
	run(t, "chattr", "+C", journal)
	write(t, filepath.Join(journal, "system.journal"), strings.Repeat("x", 1<<16))
	run(t, "btrfs", "subvolume", "create", filepath.Join(root, "srv"))
	write(t, filepath.Join(root, "swap file"), "")
	write(t, filepath.Join(p.Proc, "swaps"), "Filename Type Size Used Priority\n"+escape(filepath.Join(root, "swap file"))+" file 4092 0 -2\n")
	if err := os.Remove(filepath.Join(root, "etc/systemd/system/sysinit.target.wants", sealUnit)); err != nil {
		t.Fatal(err)
	}

	r := p.examine()
	want := []string{"protected-path", "nested-subvolume", "swap", "seal"}
	for range dirs {
		want = append(want, "writable-island")
	}
	var got []string
	for _, f := range without(r, OK) {
		got = append(got, f.Check)
	}
	slices.Sort(want)
	slices.Sort(got)
	if r.Ready || !slices.Equal(got, want) || len(r.Unseen) != 0 {
		t.Fatalf("Examine() found %q, want %q; unseen %q", got, want, r.Unseen)
	}
	write(t, filepath.Join(p.Proc, "swaps"), "Filename Type Size Used Priority\n") // the file was none
	p.mend(t, r)
	p.restart(t)

	r = p.examine()
	for _, f := range without(r, OK) {
		if f.Severity == Problem {
			t.Errorf("after mending: %+v", f)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "swap/swapfile")); err != nil || info.Size() != 4<<20 {
		t.Errorf("the new swap file: %+v, %v", info, err)
	}
	for _, dir := range dirs {
		if data, err := os.ReadFile(filepath.Join(root, dir, "kept")); err != nil || string(data) != filepath.Join(root, dir) {
			t.Errorf("%s lost its file: %q, %v", dir, data, err)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "var/tmp")); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("var/tmp: %v, %v, want its mode kept", info.Mode(), err)
	}
	if frozen := frozen(t, p.Config); len(frozen) != 0 {
		t.Errorf("a lock would still freeze %q", frozen)
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
	g := &gatherer{System: &System{Config: config.Default()}}
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

func frozen(t *testing.T, c config.Config) []string {
	t.Helper()
	var open []*protected.Path
	for _, name := range c.Paths {
		p, err := protected.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		open = append(open, p)
	}
	found, err := islands.Find(c, open)
	if err != nil {
		t.Fatal(err)
	}
	return islands.Paths(found.Frozen)
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
