package doctor

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper/config"
	"immutray.org/helper/mount"
	"immutray.org/packaging/testbed/lab"
)

func TestSeal(t *testing.T) {
	const vendor, admin = "usr/lib/systemd/system/", "etc/systemd/system/"
	for _, c := range []struct {
		name     string
		files    []string          // regular
		links    map[string]string // from, to
		want     Seal
		override bool
		cmdline  string
	}{
		{name: "none"},
		{name: "installed", files: []string{vendor + sealUnit}, want: Seal{Installed: true}},
		{
			name: "enabled", files: []string{vendor + sealUnit},
			links: map[string]string{
				admin + "sysinit.target.wants/" + sealUnit:   "/" + vendor + sealUnit,
				admin + "sysinit.target.wants/" + unsealUnit: "/" + vendor + unsealUnit,
			},
			want: Seal{Installed: true, Enabled: true},
		},
		{name: "rw", cmdline: "root=/dev/sda2 rw quiet\n", want: Seal{Skipped: "the kernel command line has the word rw"}},
		{
			name: "enabled alone", files: []string{vendor + sealUnit},
			links: map[string]string{admin + "sysinit.target.wants/" + sealUnit: "/" + vendor + sealUnit},
			want:  Seal{Installed: true, Enabled: true, Alone: true},
		},
		{
			name: "masked", files: []string{vendor + sealUnit}, links: map[string]string{admin + sealUnit: "/dev/null"},
			want: Seal{Installed: true, Masked: true},
		},
		{
			name: "the classic layout", files: []string{admin + sealUnit},
			links: map[string]string{admin + "local-fs.target.wants/" + sealUnit: "/" + admin + sealUnit},
			want:  Seal{Installed: true, Enabled: true, Alone: true}, override: true,
		},
	} {
		root := t.TempDir()
		for _, f := range c.files {
			mkdir(t, filepath.Join(root, filepath.Dir(f)))
			write(t, filepath.Join(root, f), "")
		}
		for from, to := range c.links {
			mkdir(t, filepath.Join(root, filepath.Dir(from)))
			if err := os.Symlink(to, filepath.Join(root, from)); err != nil {
				t.Fatal(err)
			}
		}
		if c.override {
			c.want.Override = filepath.Join(root, admin, sealUnit)
		}
		write(t, filepath.Join(root, "cmdline"), c.cmdline)
		g := &gatherer{System: &System{Root: root, Proc: root}, tree: mount.NewTree(nil)}
		g.seal()
		if g.Seal != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, g.Seal, c.want)
		}
	}
}

func TestIslands(t *testing.T) {
	g := &gatherer{System: &System{Config: config.Config{Islands: []string{"/home", "/srv"}, AllowReadonly: []string{"/srv"}}}, tree: mount.NewTree(nil)}
	g.islands()
	if want := []string{"/home"}; !slices.Equal(g.Facts.Islands, want) {
		t.Errorf("islands %q, want %q", g.Facts.Islands, want)
	}
}

func TestFindAgent(t *testing.T) {
	proc := t.TempDir()
	for pid, line := range map[string]string{
		"1":    "/sbin/init\x00",
		"20":   "vim\x00lxpolkit\x00",
		"300":  "",
		"4000": "/usr/libexec/polkit-mate-authentication-agent-1\x00--x\x00",
	} {
		mkdir(t, filepath.Join(proc, pid))
		write(t, filepath.Join(proc, pid, "cmdline"), line)
	}
	if got := findAgent(proc, os.Getuid()); got != "polkit-mate-authentication-agent-1" {
		t.Errorf("findAgent() = %q", got)
	}
	if got := findAgent(proc, os.Getuid()+1); got != "" {
		t.Errorf("findAgent() of another user = %q", got)
	}
}

// A watcher is a StatusNotifierWatcher with a tray, or without.
type watcher struct{ registered bool }

func (w watcher) Get(string, string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(w.registered), nil
}

func TestSession(t *testing.T) {
	address := startBus(t)
	at := func(address string) Session {
		return sessionAt(context.Background(), address, t.TempDir(), os.Getuid())
	}
	if got := at("unix:path=" + filepath.Join(t.TempDir(), "none")); got.Bus {
		t.Errorf("without a bus: %+v", got)
	}
	// A login by ssh has a bus as well: that nothing is on it tells nothing.
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	if got := at(address); got.Bus {
		t.Errorf("on an empty bus without a desktop: %+v", got)
	}
	for _, display := range []string{"DISPLAY", "WAYLAND_DISPLAY"} {
		t.Run(display, func(t *testing.T) {
			t.Setenv(display, "there")
			if got := at(address); !got.Bus || got.Tray || got.Agent != "" {
				t.Errorf("on the empty bus of a desktop: %+v", got)
			}
		})
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.RequestName("org.kde.StatusNotifierWatcher", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	for _, registered := range []bool{false, true} {
		if err := conn.Export(watcher{registered}, "/StatusNotifierWatcher", "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
		if got := at(address); got.Tray != registered || got.Bus != registered {
			t.Errorf("with a watcher whose host is %v: %+v", registered, got)
		}
	}
}

// startBus starts a session bus for the test and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	lab.Require(t, "dbus-daemon:dbus-daemon")
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address", "--address=unix:path="+filepath.Join(t.TempDir(), "bus"))
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bus.Process.Kill()
		bus.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestMountOf(t *testing.T) {
	points := []string{"/", "/etc", "/var/lib", "/var/lib/docker"}
	for name, want := range map[string]string{
		"/": "/", "/srv": "/", "/etc": "/etc", "/etcetera": "/", "/var/library": "/", "/var/lib/x": "/var/lib", "/var/lib/docker/btrfs": "/var/lib/docker",
	} {
		if got := mountOf(name, points); got != want {
			t.Errorf("mountOf(%s) = %s, want %s", name, got, want)
		}
	}
}

// This machine is whatever it is; a doctor says so, and in time.
func TestHere(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	f := Here(config.Default(), config.Path).Gather(context.Background())
	if f.Kernel == "" || len(f.Paths) != 2 || f.Paths[0].Name != "/" || f.Fstab != "/etc/fstab" {
		t.Errorf("Gather() = %+v", f)
	}
	if f.UtilLinux != "" {
		if _, err := strconv.ParseFloat(f.UtilLinux, 64); err != nil {
			t.Errorf("the version of mount is %q", f.UtilLinux)
		}
	}
}
