package desktop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// servicesSource is where programs say how the session bus starts them.
const servicesSource = "/usr/share/dbus-1/services"

// The names by which a tray host and a notification daemon are known on the bus.
const (
	WatcherName       = "org.kde.StatusNotifierWatcher"
	NotificationsName = "org.freedesktop.Notifications"
)

// startWindowManager starts xfwm4, without which no window gets the keyboard.
func (s *Session) startWindowManager() error {
	if _, err := s.Start("xfwm4"); err != nil {
		return err
	}
	return s.WaitFor("the window manager", func() (bool, error) {
		_, err := s.xdotool("get_num_desktops")
		return err == nil, nil
	})
}

// StartPanel starts xfce4-panel and waits until it is on the screen with its tray.
func (s *Session) StartPanel() error {
	p, err := s.Start("xfce4-panel", "--disable-wm-check")
	if err != nil {
		return err
	}
	s.panel = p
	if err := s.WaitForName(WatcherName, true); err != nil {
		return err
	}
	if s.window != nil {
		return nil // which can't be looked at from here
	}
	return s.WaitFor("the panel on the screen", func() (bool, error) {
		screen, err := s.Screenshot()
		if err != nil {
			return false, err
		}
		return near(screen.RGBAAt(Width/2, panelHeight/2), panelColor()), nil
	})
}

// StartNotifications starts xfce4-notifyd and waits until it is on the bus.
func (s *Session) StartNotifications() error {
	program, err := serviceProgram("org.xfce.xfce4-notifyd.Notifications.service")
	if err != nil {
		return err
	}
	if _, err := s.Start(program); err != nil {
		return err
	}
	return s.WaitForName(NotificationsName, true)
}

// serviceProgram returns the program that a service file starts: its place differs
// between architectures and releases.
func serviceProgram(service string) (string, error) {
	path := filepath.Join(servicesSource, service)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if program, ok := strings.CutPrefix(strings.TrimSpace(line), "Exec="); ok {
			return program, nil
		}
	}
	return "", fmt.Errorf("%s starts no program", path)
}
