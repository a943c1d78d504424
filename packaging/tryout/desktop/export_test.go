package desktop

import (
	"image"
	"slices"
)

// What only the tests ask of a desktop.

// StopPanel ends the panel as a crash would, and waits until the tray is gone.
func (s *Session) StopPanel() error {
	s.panel.Kill()
	return s.WaitForName(WatcherName, false)
}

// Closed reports whether the program that had posted a notification has closed it.
func (l *Listener) Closed(id uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.closed, id)
}

// NotificationPlace waits for a notification of xfce4-notifyd's on the screen, and
// returns where it is.
func (s *Session) NotificationPlace() (place image.Rectangle, err error) {
	err = s.WaitFor("a notification on the screen", func() (bool, error) {
		out, err := s.xdotool("search", "--onlyvisible", "--class", "notifyd", "getwindowgeometry", "--shell")
		if err != nil {
			return false, nil // there is none yet
		}
		place, err = parseGeometry(out)
		return err == nil, err
	})
	return place, err
}

// ExitCode returns how the program ended; -1 when by a signal, or not yet.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}
