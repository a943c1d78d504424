package main

import (
	"flag"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/system"
)

// A desk is the graphical session of the person who started this, whose panel can
// show the applet. Root can't use it as root: a session bus answers its own user
// only (dbus-daemon(1)). So the applet runs as that person, and the desk has to be
// described before root takes over.
type desk struct {
	uid, gid uint32
	name     string
	env      []string // NAME=value, as in the environment
	noTray   bool     // its panel has no place for an icon
}

// deskVariables are what programs find a graphical session by.
var deskVariables = [...]string{
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR",
	"XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG",
}

// flags lets the command line describe the desk, across sudo.
func (d *desk) flags(flags *flag.FlagSet) {
	flags.Func("desk-user", "whose desk it is, as `UID:GID:NAME`", func(text string) error {
		var err error
		d.uid, d.gid, d.name, err = parseUser(text)
		return err
	})
	flags.Func("desk", "a `variable` of the desk's environment, as NAME=value", func(text string) error {
		d.env = append(d.env, text)
		return nil
	})
	flags.BoolVar(&d.noTray, "desk-has-no-tray", false, "the desk's panel shows no tray icons")
}

func parseUser(text string) (uid, gid uint32, name string, err error) {
	fields := strings.SplitN(text, ":", 3)
	if len(fields) != 3 || fields[2] == "" {
		return 0, 0, "", fmt.Errorf("not UID:GID:NAME")
	}
	u, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return 0, 0, "", err
	}
	g, err := strconv.ParseUint(fields[1], 10, 32)
	return uint32(u), uint32(g), fields[2], err
}

// arguments describe the desk of the person who runs this program, for flags.
func arguments() ([]string, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	args := []string{"-desk-user=" + me.Uid + ":" + me.Gid + ":" + me.Username}
	for _, name := range deskVariables {
		if value := os.Getenv(name); value != "" {
			args = append(args, "-desk="+name+"="+value)
		}
	}
	if !hasTray() {
		args = append(args, "-desk-has-no-tray")
	}
	return args, nil
}

// hasTray reports whether the session that this program runs in shows tray icons.
func hasTray() bool {
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		return false
	}
	defer bus.Close()
	var owned bool
	err = bus.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, desktop.WatcherName).Store(&owned)
	return err == nil && owned
}

// fromSudo describes the desk of the person who ran "sudo make run": sudo keeps
// the display and says who it was, and systemd puts the bus at a known place.
func (d *desk) fromSudo() {
	uid, gid, name, err := parseUser(os.Getenv("SUDO_UID") + ":" + os.Getenv("SUDO_GID") + ":" + os.Getenv("SUDO_USER"))
	if err != nil || d.name != "" {
		return
	}
	d.uid, d.gid, d.name = uid, gid, name
	runtime := d.person().RuntimeDir()
	d.env = []string{"XDG_RUNTIME_DIR=" + runtime, "DBUS_SESSION_BUS_ADDRESS=unix:path=" + runtime + "/bus"}
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"} {
		if value := os.Getenv(name); value != "" {
			d.env = append(d.env, name+"="+value)
		}
	}
}

func (d *desk) get(name string) string {
	for _, variable := range d.env {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

func (d *desk) person() system.Person { return system.Person{Name: d.name, UID: d.uid, GID: d.gid} }

// hasDisplay reports whether windows can be opened at the desk.
func (d *desk) hasDisplay() bool {
	return d.uid != 0 && d.name != "" && (d.get("DISPLAY") != "" || d.get("WAYLAND_DISPLAY") != "")
}

// usable reports whether the desk can show the applet in its own panel.
func (d *desk) usable() bool {
	path := d.busPath()
	if !d.hasDisplay() || d.noTray || path == "" {
		return false
	}
	_, err := os.Stat(path)
	return err == nil
}

// busPath returns the session bus's socket, "" when it is of another kind.
func (d *desk) busPath() string {
	path, ok := strings.CutPrefix(d.get("DBUS_SESSION_BUS_ADDRESS"), "unix:path=")
	if !ok {
		return ""
	}
	path, _, _ = strings.Cut(path, ",")
	return path
}

// keepSession lists the files by which programs in the practice system reach the
// desk's session: its bus, and its display.
func (d *desk) keepSession() []system.Kept {
	runtime, bus := d.person().RuntimeDir(), d.busPath()
	all := kept(runtime)
	if !strings.HasPrefix(bus, runtime+"/") {
		all = append(all, kept(bus)...)
	}
	return append(all, d.keepDisplay()...)
}

// keepDisplay lists the file by which they reach only the display: the network,
// and with it the display's abstract socket, is not shared.
func (d *desk) keepDisplay() []system.Kept {
	_, number, _ := strings.Cut(d.get("DISPLAY"), ":")
	number, _, _ = strings.Cut(number, ".") // the screen
	return kept("/tmp/.X11-unix/X" + number)
}

func kept(path string) []system.Kept {
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return []system.Kept{system.KeptInPlace(path)}
}

// xauthority returns the file with the display's key, where the machine has it.
func (d *desk) xauthority() string {
	if path := d.get("XAUTHORITY"); path != "" {
		return path
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(d.uid), 10)); err == nil {
		return filepath.Join(u.HomeDir, ".Xauthority")
	}
	return ""
}

// giveKey makes the display's key readable for the person in the practice system,
// where the machine's home directories are not.
func (d *desk) giveKey(key []byte) error {
	if len(key) == 0 {
		return nil
	}
	path := filepath.Join(system.RunDir, "xauthority")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return err
	}
	d.env = append(d.env, "XAUTHORITY="+path)
	return os.Chown(path, int(d.uid), int(d.gid))
}
