// Package desktop runs a small real desktop in the practice system: an X server
// without a screen, a session bus, xfwm4, xfce4-panel and xfce4-notifyd, all as the
// person of that system. It clicks, looks at the screen, and listens on the bus.
package desktop

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/packaging/tryout/system"
)

// Size is the screen's.
const (
	Width  = 800
	Height = 600
)

// timeout is how long a test or the tour waits for anything on the desktop.
// It is long because machines that test are busy; nothing waits for it to pass.
const timeout = 40 * time.Second

// poll is how often a condition is looked at.
const poll = 50 * time.Millisecond

// A Session is one desktop session.
type Session struct {
	person      system.Person
	dir         string // of this session, below the person's runtime directory
	frameBuffer string
	camera      camera
	window      []string // see Options.Window
	existing    []string // see Existing
	display     string
	bus         *dbus.Conn
	processes   []*Process
	panel       *Process
}

// Options leave parts of the desktop out, or show it.
type Options struct {
	NoPanel         bool
	NoNotifications bool
	// Window is the environment by which the X server finds another display, to
	// show the desktop in a window there. No pictures can be taken of it then.
	Window []string
}

// New starts a session of the person, in the practice system.
func New(person system.Person, o Options) (*Session, error) {
	dir, err := os.MkdirTemp(person.RuntimeDir(), "session")
	if err != nil {
		return nil, err
	}
	s := &Session{person: person, dir: dir, frameBuffer: filepath.Join(dir, "screen")}
	if err := s.begin(o); err != nil {
		err = fmt.Errorf("cannot start a desktop: %w\n%s", err, s.Logs())
		s.Close()
		return nil, err
	}
	return s, nil
}

// Existing returns the session that the machine runs already, for programs to be
// started in. Only those are ended by Close.
func Existing(person system.Person, env []string) *Session {
	return &Session{person: person, existing: env}
}

func (s *Session) begin(o Options) error {
	if err := os.Chown(s.dir, int(s.person.UID), int(s.person.GID)); err != nil {
		return err
	}
	if err := s.mkdirAll(s.frameBuffer); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	s.window = o.Window
	steps := []func() error{s.startBus, s.startX, s.startWindowManager}
	if !o.NoNotifications {
		steps = append(steps, s.StartNotifications)
	}
	if !o.NoPanel {
		steps = append(steps, s.StartPanel)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends every program of the session, the last started first.
func (s *Session) Close() {
	if s.bus != nil {
		s.bus.Close()
	}
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].Stop()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// Logs returns what the programs of the session have printed, and how they ended.
func (s *Session) Logs() string {
	var all strings.Builder
	for _, p := range s.processes {
		fmt.Fprintf(&all, "--- %s: %s\n", p.Name, p.state())
		if text := strings.TrimSpace(p.Log()); text != "" {
			fmt.Fprintln(&all, text)
		}
	}
	return all.String()
}

// Env is the environment of the session's programs.
func (s *Session) Env() []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + s.person.Home(), "USER=" + s.person.Name, "LOGNAME=" + s.person.Name,
		"SHELL=/bin/bash", "LANG=C.UTF-8",
	}
	if s.existing != nil {
		return append(env, s.existing...)
	}
	env = append(env,
		"XDG_RUNTIME_DIR="+s.person.RuntimeDir(),
		"XDG_CURRENT_DESKTOP=XFCE", "XDG_SESSION_TYPE=x11",
		"DBUS_SESSION_BUS_ADDRESS="+s.BusAddress(),
		// No accessibility bus, no virtual file systems, no database of settings,
		// no graphics card: toolkits would start or look for them.
		"NO_AT_BRIDGE=1", "GTK_A11Y=none", "GIO_USE_VFS=local", "GSETTINGS_BACKEND=memory",
		"GDK_BACKEND=x11", "GSK_RENDERER=cairo", "LIBGL_ALWAYS_SOFTWARE=1",
	)
	if s.display != "" {
		return append(env, "DISPLAY="+s.display)
	}
	// Only the X server itself is started before there is a display.
	return append(env, s.window...)
}

// BusAddress is the address of the session bus.
func (s *Session) BusAddress() string { return "unix:path=" + s.busPath() }

func (s *Session) busPath() string     { return filepath.Join(s.dir, "bus") }
func (s *Session) servicesDir() string { return filepath.Join(s.dir, "services") }

// startBus starts a bus on which nothing is started by itself but xfconf, where
// the desktop keeps its settings: which daemons there are is the test's choice.
func (s *Session) startBus() error {
	if err := s.mkdirAll(s.servicesDir()); err != nil {
		return err
	}
	const xfconf = "org.xfce.Xfconf.service"
	service, err := os.ReadFile(filepath.Join(servicesSource, xfconf))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.servicesDir(), xfconf), service, 0o644); err != nil {
		return err
	}
	ready, write, err := os.Pipe()
	if err != nil {
		return err
	}
	_, err = s.start([]*os.File{write}, "dbus-daemon", "--nofork", "--nosyslog", "--print-address=3",
		"--config-file="+filepath.Join(s.dir, "bus.conf"))
	write.Close()
	if err != nil {
		return err
	}
	if _, err := firstLine(ready); err != nil {
		return fmt.Errorf("the session bus did not start: %w", err)
	}
	s.bus, err = dbus.Connect(s.BusAddress())
	return err
}

// startX starts an X server that only the practice system can reach: /tmp and the
// network are its own. It keeps its pixels in a file.
func (s *Session) startX() error {
	ready, write, err := os.Pipe()
	if err != nil {
		return err
	}
	// Without OpenGL, which nothing here draws with: where there is some, the first program
	// that asks for it loads its compiler.
	args := []string{"-displayfd", "3", "-nolisten", "tcp", "-noreset", "-dpi", "96", "-extension", "GLX"}
	if s.window == nil {
		args = append(args, "-screen", "0", fmt.Sprintf("%dx%dx24", Width, Height), "-fbdir", s.frameBuffer)
		_, err = s.start([]*os.File{write}, "Xvfb", args...)
	} else {
		args = append(args, "-screen", fmt.Sprintf("%dx%d", Width, Height), "-title", "Immutray practice system")
		_, err = s.start([]*os.File{write}, "Xephyr", args...)
	}
	write.Close()
	if err != nil {
		return err
	}
	number, err := firstLine(ready)
	if err != nil {
		return fmt.Errorf("the X server did not start: %w", err)
	}
	s.display = ":" + number
	background, err := s.Start("xsetroot", "-cursor_name", "left_ptr", "-solid", "#4a6b82")
	if err != nil {
		return err
	}
	<-background.Done()
	return nil
}

func firstLine(f *os.File) (string, error) {
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(f).ReadString('\n')
	return strings.TrimSpace(line), err
}

// WaitFor waits until the condition holds.
func (s *Session) WaitFor(what string, condition func() (bool, error)) error {
	deadline := time.Now().Add(timeout)
	for {
		ok, err := condition()
		if err != nil {
			return fmt.Errorf("cannot wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain for %s", timeout, what)
		}
		time.Sleep(poll)
	}
}
