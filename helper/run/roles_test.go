package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/detach"
	"immutray.org/helper/engine"
	"immutray.org/helper/journal"
	"immutray.org/helper/run/guardian"
	"immutray.org/helper/run/wire"
	"immutray.org/helper/wholefile"
	"immutray.org/packaging/testbed/lab"
)

// roleVariable makes the test binary a runner or a guardian instead;
// systemVariable names the directory with what it needs to know.
const (
	roleVariable   = "IMMUTRAY_TEST_ROLE"
	systemVariable = "IMMUTRAY_TEST_SYSTEM"
)

func TestMain(m *testing.M) {
	switch dir := os.Getenv(systemVariable); os.Getenv(roleVariable) {
	case "runner":
		os.Exit(runnerMain(dir))
	case "guardian":
		os.Exit(guardianMain(dir))
	}
	lab.Main(m)
}

// releasedName is left when the machine need not wait any longer.
const releasedName = "released"

// A setup is what runners and guardians are told in a file.
type setup struct {
	Config     config.Config
	SystemWide bool
	EvenSo     bool
	Reason     string
	InReach    string // why a guardian can't leave
	Deaths     int    // how many guardians are killed when the grant has begun,
	LastAnswer int    // after so many answers
	StopRunner bool   // when the grant has begun
	GoingOff   bool   // the machine, when a guardian takes an inhibitor
}

func readSetup(dir string) setup {
	var s setup
	data, err := os.ReadFile(filepath.Join(dir, "setup.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		panic(err)
	}
	return s
}

// runnerMain is a small "immutectl run": it leaves the End, by its process id, in a file.
func runnerMain(dir string) int {
	s := readSetup(dir)
	os.Unsetenv(roleVariable)
	r := &Runner{
		Config: s.Config,
		Guardian: func() *exec.Cmd { // [Guardian] with this program for the helper
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), roleVariable+"=guardian")
			return cmd
		},
		Unlocked: func(*helper.Result) { fmt.Fprintln(os.Stderr, "unlocked already") },
	}
	end, err := r.Run(helper.Run{
		ID: helper.NewID(), Since: time.Now(), User: "root", Reason: s.Reason, Command: os.Args[1:], PID: os.Getpid(), SystemWide: s.SystemWide, EvenSo: s.EvenSo,
	})
	_, held := os.Stat(filepath.Join(dir, releasedName))
	left := leftEnd{Result: end.Result, Waits: held != nil}
	if err != nil {
		left.Err = err.Error()
	} else if end.Err != nil {
		left.Err = end.Err.Error()
	}
	data, _ := json.Marshal(left)
	os.WriteFile(endFile(dir, os.Getpid()), data, 0o600)
	return end.Code
}

type leftEnd struct {
	Result *helper.Result
	Err    string
	Waits  bool // whether the machine still does, when the runner ends
}

func endFile(dir string, pid int) string { return filepath.Join(dir, "end."+strconv.Itoa(pid)) }

func guardianMain(dir string) int {
	s := readSetup(dir)
	if err := detach.FromCaller(); err != nil {
		panic(err)
	}
	pid := strconv.Itoa(os.Getpid())
	if err := wholefile.Write(filepath.Join(dir, "guardian"), []byte(pid)); err != nil { // it is read at any time
		panic(err)
	}
	conn, err := wire.Inherited()
	if err != nil {
		panic(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	e := &engine.Engine{Config: s.Config, Journal: func(e journal.Entry) {
		fmt.Fprintf(log, "%s %s\n", e.Message, e.Fields[journal.Command])
	}}
	g := &guardian.Guardian{Engine: func(config.Config) *engine.Engine { return e }, Asked: func(config.Config, helper.Run, int) {}, Helper: direct{e}, Leave: func(context.Context) error {
		if s.InReach != "" {
			return errors.New(s.InReach)
		}
		return nil
	}, Inhibit: func(context.Context, helper.Run) (func(), error) {
		if s.GoingOff {
			return nil, fmt.Errorf("cannot inhibit: %w", helper.ErrGoingOff)
		}
		return func() {
			time.Sleep(200 * time.Millisecond) // a runner that does not wait for it has ended by then
			os.WriteFile(filepath.Join(dir, releasedName), nil, 0o600)
		}, nil
	}}
	if g.Serve(ctx, &mortal{ReadWriteCloser: conn, dir: dir, deaths: s.Deaths, answers: s.LastAnswer, stopRunner: s.StopRunner}) != nil {
		return 1
	}
	return 0
}

// mortal is a guardian's end of the socket. After so many answers, its version not counted,
// the next one kills it, until that many were killed.
type mortal struct {
	io.ReadWriteCloser
	dir             string
	deaths, answers int
	stopRunner      bool
	greeted         bool
}

func (m *mortal) Write(data []byte) (int, error) {
	if !m.greeted {
		m.greeted = true
		return m.ReadWriteCloser.Write(data)
	}
	for i := range m.deaths {
		if m.answers == 0 && os.Mkdir(filepath.Join(m.dir, "died."+strconv.Itoa(i)), 0o700) == nil {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
	m.answers--
	if m.stopRunner && os.Mkdir(filepath.Join(m.dir, "stopped"), 0o700) == nil {
		unix.Kill(os.Getppid(), unix.SIGSTOP)
	}
	return m.ReadWriteCloser.Write(data)
}

// direct is a helper that does its work in this process.
type direct struct{ engine *engine.Engine }

func (d direct) Do(ctx context.Context, r helper.Request) (*helper.Result, error) {
	r.ID, r.User = helper.NewID(), "root"
	result := d.engine.Run(ctx, r)
	return result, result.Err()
}
