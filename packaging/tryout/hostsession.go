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

// A hostSession is the graphical session in which a person has started this program, and
// whose panel can show the applet. A session bus answers only its own user (dbus-daemon(1)),
// so the applet runs as that person, and the command line describes the session to the
// program that runs as root.
type hostSession struct {
	uid, gid uint32
	name     string
	env      []string // NAME=value, as in the environment
	noTray   bool     // its panel has no place for an icon
}

// sessionVariables are those by which programs find a graphical session.
var sessionVariables = [...]string{
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR",
	"XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG",
}

// flags lets the command line describe the session, across sudo.
func (h *hostSession) flags(flags *flag.FlagSet) {
	flags.Func("session-user", "whose graphical session it is, as `UID:GID:NAME`", func(text string) error {
		var err error
		h.uid, h.gid, h.name, err = parseUser(text)
		return err
	})
	flags.Func("session-variable", "a `variable` of the session's environment, as NAME=value", func(text string) error {
		h.env = append(h.env, text)
		return nil
	})
	flags.BoolVar(&h.noTray, "session-without-tray", false, "the session's panel shows no tray icons")
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

// arguments returns the flags that describe the session of this program.
func arguments() ([]string, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	args := []string{"-session-user=" + me.Uid + ":" + me.Gid + ":" + me.Username}
	for _, name := range sessionVariables {
		if value := os.Getenv(name); value != "" {
			args = append(args, "-session-variable="+name+"="+value)
		}
	}
	if !hasTray() {
		args = append(args, "-session-without-tray")
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

// fromSudo finds the session of a person who ran "sudo make run": sudo keeps the display and
// names the person, and systemd has the bus at a known path.
func (h *hostSession) fromSudo() {
	uid, gid, name, err := parseUser(os.Getenv("SUDO_UID") + ":" + os.Getenv("SUDO_GID") + ":" + os.Getenv("SUDO_USER"))
	if err != nil || h.name != "" {
		return
	}
	h.uid, h.gid, h.name = uid, gid, name
	runtime := h.person().RuntimeDir()
	h.env = []string{"XDG_RUNTIME_DIR=" + runtime, "DBUS_SESSION_BUS_ADDRESS=unix:path=" + runtime + "/bus"}
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"} {
		if value := os.Getenv(name); value != "" {
			h.env = append(h.env, name+"="+value)
		}
	}
}

func (h *hostSession) get(name string) string {
	for _, variable := range h.env {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

func (h *hostSession) person() system.Person {
	return system.Person{Name: h.name, UID: h.uid, GID: h.gid}
}

// hasDisplay reports whether windows can be opened in the session.
func (h *hostSession) hasDisplay() bool {
	return h.uid != 0 && h.name != "" && (h.get("DISPLAY") != "" || h.get("WAYLAND_DISPLAY") != "")
}

// usable reports whether the session's own panel can show the applet.
func (h *hostSession) usable() bool {
	path := h.busPath()
	if !h.hasDisplay() || h.noTray || path == "" {
		return false
	}
	_, err := os.Stat(path)
	return err == nil
}

// busPath returns the session bus's socket, "" when it is of another kind.
func (h *hostSession) busPath() string {
	path, ok := strings.CutPrefix(h.get("DBUS_SESSION_BUS_ADDRESS"), "unix:path=")
	if !ok {
		return ""
	}
	path, _, _ = strings.Cut(path, ",")
	return path
}

// keepAll lists the files by which programs in the practice system reach the session: its
// bus and its display.
func (h *hostSession) keepAll() []system.Kept {
	runtime, bus := h.person().RuntimeDir(), h.busPath()
	all := kept(runtime)
	if !strings.HasPrefix(bus, runtime+"/") {
		all = append(all, kept(bus)...)
	}
	return append(all, h.keepDisplay()...)
}

// keepDisplay lists the file by which they reach only the display. The network namespace, and
// with it the display's abstract socket, is not shared.
func (h *hostSession) keepDisplay() []system.Kept {
	_, number, _ := strings.Cut(h.get("DISPLAY"), ":")
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
func (h *hostSession) xauthority() string {
	if path := h.get("XAUTHORITY"); path != "" {
		return path
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(h.uid), 10)); err == nil {
		return filepath.Join(u.HomeDir, ".Xauthority")
	}
	return ""
}

// giveKey makes the display's key readable for the person in the practice system,
// where the machine's home directories are not.
func (h *hostSession) giveKey(key []byte) error {
	if len(key) == 0 {
		return nil
	}
	path := filepath.Join(system.RunDir, "xauthority")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return err
	}
	h.env = append(h.env, "XAUTHORITY="+path)
	return os.Chown(path, int(h.uid), int(h.gid))
}
