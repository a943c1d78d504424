package doctor

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// session looks at the desktop of who calls, as far as its bus can be reached.
func session(ctx context.Context) Session {
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		return Session{}
	}
	return sessionAt(ctx, address, "/proc", os.Getuid())
}

func sessionAt(ctx context.Context, address, proc string, uid int) Session {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return Session{}
	}
	defer conn.Close()
	s := Session{
		Bus:     true,
		Tray:    hasTray(ctx, conn),
		Agent:   findAgent(proc, uid),
		Desktop: os.Getenv("XDG_CURRENT_DESKTOP"),
	}
	// A login by ssh has a bus as well. It is the desktop's, if there is one; if nothing
	// is found, there need not be one.
	onDesktop := os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	if !s.Tray && s.Agent == "" && !onDesktop {
		return Session{}
	}
	return s
}

// hasTray asks the watcher of StatusNotifier items whether something shows them.
func hasTray(ctx context.Context, conn *dbus.Conn) bool {
	const watcher = "org.kde.StatusNotifierWatcher"
	var value dbus.Variant
	get := conn.Object(watcher, "/StatusNotifierWatcher").CallWithContext(ctx,
		"org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, watcher, "IsStatusNotifierHostRegistered")
	if get.Store(&value) != nil {
		return false
	}
	registered, ok := value.Value().(bool)
	return ok && registered
}

// agents are the programs that are known to show the prompts of polkit. An agent owns
// no name on a bus, and polkit does not say which have registered.
func agents() []string {
	return []string{
		"gnome-shell", "cinnamon", "budgie-panel", "polkit-gnome-authentication-agent-1",
		"polkit-mate-authentication-agent-1", "polkit-kde-authentication-agent-1",
		"xfce-polkit", "lxpolkit", "lxqt-policykit-agent", "dde-polkit-agent", "ukui-polkit-agent",
		"io.elementary.desktop.agent-polkit", "cosmic-osd", "hyprpolkitagent", "mate-polkit", "soteria", "pkttyagent",
	}
}

// findAgent looks for a known agent among the user's processes.
func findAgent(proc string, uid int) string {
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "cmdline"))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || ownerOf(info) != uid {
			continue
		}
		line, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		program, _, _ := bytes.Cut(line, []byte{0})
		if name := filepath.Base(string(program)); slices.Contains(agents(), name) {
			return name
		}
	}
	return ""
}

func ownerOf(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
