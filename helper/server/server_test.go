package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/journal"
	"immutray.org/helper/systemd"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) {
	if os.Getenv(probeVariable) != "" {
		os.Exit(probe())
	}
	lab.Main(m)
}

// fakeMachine is a machine to ask, with nothing behind it.
type fakeMachine struct {
	booted    bool // by systemd
	elsewhere bool // in another mount namespace
	notRoot   error
}

func (m fakeMachine) systemd() bool                { return m.booted }
func (m fakeMachine) sharesMounts() (bool, error)  { return !m.elsewhere, nil }
func (m fakeMachine) checkRoot(forUser bool) error { return m.notRoot }

// noJobs is for tests in which no unit may be started.
type noJobs struct{ t *testing.T }

func (j noJobs) Start(_ context.Context, unit string) (systemd.End, error) {
	j.t.Errorf("unit %s was started", unit)
	return systemd.End{}, errors.New("no units here")
}

// Found in a machine test: root's "unshare --mount immutectl lock" set the mount flag
// where no other process saw it, and the journal said that the system was locked.
func TestRootInANamespaceOfItsOwnMeansTheMachine(t *testing.T) {
	for _, machine := range []fakeMachine{{booted: true}, {booted: true, elsewhere: true}} {
		s := &server{machine: machine}
		if got, err := s.isForUnit(helper.CommandLine{Request: helper.Request{Verb: helper.Lock}}, false); err != nil || !got {
			t.Errorf("isForUnit(lock) by root on %+v = %v, %v; want the unit", machine, got, err)
		}
	}
}

// A fixture is a server whose surroundings are all fake.
type fixture struct {
	server   *server
	out, err bytes.Buffer

	mu      sync.Mutex
	worked  []helper.Request
	records []journal.Entry
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{}
	f.server = &server{
		stdout:       &f.out,
		stderr:       &f.err,
		writeTimeout: time.Minute,
		kept:         t.TempDir(),
		load:         func(string) (config.Config, error) { return config.Default(), nil },
		machine:      fakeMachine{},
		jobs:         noJobs{t},
		journal: func(e journal.Entry) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.records = append(f.records, e)
			return errors.New("there is no journal")
		},
		keepRecord: func(string, journal.Entry) error { return nil },
		run: func(_ *engine.Engine, _ context.Context, r helper.Request) *helper.Result {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.worked = append(f.worked, r)
			return &helper.Result{Request: r, Outcome: helper.Done}
		},
		reclaim: func(*engine.Engine, context.Context) *helper.Result { return nil },
	}
	return f
}

// serve runs one command line and returns its result; the output must be a handshake
// and a result, and no more.
func (f *fixture) serve(t *testing.T, pkexecUID *string, args ...string) (*helper.Result, int) {
	t.Helper()
	f.out.Reset()
	f.err.Reset()
	code := f.server.serve(context.Background(), append([]string{helper.HelperPath}, args...), pkexecUID)
	return parseOutput(t, f.out.String()), code
}

func parseOutput(t *testing.T, out string) *helper.Result {
	t.Helper()
	greeting, rest, _ := strings.Cut(out, "\n")
	if greeting != helper.Handshake || strings.Count(rest, "\n") != 1 {
		t.Fatalf("the output is %.300q, want the handshake and one line", out)
	}
	var r helper.Result
	if err := json.Unmarshal([]byte(rest), &r); err != nil {
		t.Fatalf("the result %q can't be read: %v", rest, err)
	}
	for _, text := range append(strings.Split(r.Error, "; "), r.Notices...) {
		if strings.Count(text, "cannot") > 1 {
			t.Errorf("it says \"cannot\" more than once: %s", text)
		}
	}
	return &r
}

func uid(s string) *string { return &s }

func TestServe(t *testing.T) {
	f := newFixture(t)
	for _, verb := range helper.Verbs() {
		r, code := f.serve(t, nil, string(verb))
		if code != helper.ExitDone || r.Outcome != helper.Done || r.Request.Verb != verb || len(r.Request.ID) != 32 || r.Request.User != "root" {
			t.Errorf("%s: exit %d, %+v", verb, code, r)
		}
		if f.err.Len() > 0 {
			t.Errorf("%s: standard error has %q", verb, f.err.String())
		}
	}
	r, code := f.serve(t, uid("65534"), "lock")
	if code != helper.ExitDone || r.Request.UID != 65534 || r.Request.User != "nobody" {
		t.Errorf("for a user: exit %d, %+v", code, r)
	}
	r, _ = f.serve(t, uid("4294967294"), "lock")
	if r.Request.User != "4294967294" {
		t.Errorf("for a user without a name: %+v", r.Request)
	}
	seen := map[string]bool{}
	for _, r := range f.worked {
		if seen[r.ID] {
			t.Errorf("id %s was given twice", r.ID)
		}
		seen[r.ID] = true
	}
}

// What was asked for beside the verb reaches the process that does the work, whoever asks.
func TestServeHandsOnHowLong(t *testing.T) {
	for _, pkexec := range []*string{nil, uid("1000")} {
		f := newFixture(t)
		f.serve(t, pkexec, "unlock", "--for", "30m")
		f.serve(t, pkexec, "unlock", "--until-locked")
		f.serve(t, pkexec, "unlock")
		if len(f.worked) != 3 || f.worked[0].For != 30*time.Minute || !f.worked[1].UntilLocked || f.worked[2].For != 0 || f.worked[2].UntilLocked {
			t.Errorf("worked %+v", f.worked)
		}
	}
}

func TestServeOutcomes(t *testing.T) {
	for outcome, code := range map[helper.Outcome]int{
		helper.Failed: 1, helper.Usage: 2, helper.Blocked: 3, helper.NotPrepared: 4, helper.PackageManager: 5, helper.ConfigRefused: 6, helper.TooLong: 2,
	} {
		f := newFixture(t)
		f.server.run = func(_ *engine.Engine, _ context.Context, r helper.Request) *helper.Result {
			return &helper.Result{Request: r, Outcome: outcome, Error: "cannot lock: why"}
		}
		r, got := f.serve(t, nil, "lock")
		if got != code || r.Outcome != outcome {
			t.Errorf("%s: exit %d, outcome %s, want exit %d", outcome, got, r.Outcome, code)
		}
		if !strings.HasPrefix(f.err.String(), "immutray-helper: error: cannot lock: why\n") {
			t.Errorf("%s: standard error has %q", outcome, f.err.String())
		}
	}
}

func TestServeRefuses(t *testing.T) {
	good := fakeMachine{}
	tests := []struct {
		name    string
		pkexec  *string
		machine fakeMachine
		args    []string
		code    int
		want    string
	}{
		{"user's configuration", uid("1000"), good, []string{"lock", "--config", "/tmp/x"}, 2, "cannot choose a configuration: only root may"},
		{"user's --work", uid("1000"), good, []string{"lock", "--work"}, 2, "cannot use --work: only units may"},
		{"user's end of a command", uid("1000"), good, []string{"lock", "--after-run"}, 2, "cannot use --after-run: only root may"},
		{"user's due lock", uid("1000"), good, []string{"lock", "--work", "--due"}, 2, "cannot use --work: only units may"},
		{"user's occasion", uid("1000"), good, []string{"lock", "--work", "--on", "sleep"}, 2, "cannot use --work: only units may"},
		{"user's seal", uid("1000"), good, []string{"seal"}, 2, "cannot seal: only the boot may"},
		{"user's unseal", uid("1000"), good, []string{"unseal"}, 2, "cannot unseal: only the boot may"},
		{"user root's unseal", uid("0"), good, []string{"unseal"}, 2, "cannot unseal: only the boot may"},
		{"user root's configuration", uid("0"), good, []string{"lock", "--config", "/tmp/x"}, 2, "cannot choose a configuration: only root may"},
		{"PKEXEC_UID empty", uid(""), good, []string{"lock"}, 1, `cannot tell who asks: PKEXEC_UID is ""`},
		{"PKEXEC_UID no number", uid("root"), good, []string{"lock"}, 1, `PKEXEC_UID is "root"`},
		{"PKEXEC_UID negative", uid("-1"), good, []string{"lock"}, 1, `PKEXEC_UID is "-1"`},
		{"PKEXEC_UID with a sign", uid("+1"), good, []string{"lock"}, 1, `PKEXEC_UID is "+1"`},
		{"PKEXEC_UID no user at all", uid("4294967295"), good, []string{"lock"}, 1, `PKEXEC_UID is "4294967295"`},
		{"PKEXEC_UID too large", uid("4294967296"), good, []string{"lock"}, 1, `PKEXEC_UID is "4294967296"`},
		{"PKEXEC_UID with a blank", uid(" 1"), good, []string{"lock"}, 1, `PKEXEC_UID is " 1"`},
		{"not root", nil, fakeMachine{notRoot: errors.New("must run as root")}, []string{"lock"}, 1, "must run as root"},
		{"a user in another mount namespace", uid("1000"), fakeMachine{elsewhere: true}, []string{"lock"}, 1, "cannot reach the mounts of this computer from here"},
		{"a unit in another mount namespace", nil, fakeMachine{booted: true, elsewhere: true}, []string{"lock", "--work"}, 1, "cannot work in a mount namespace of its own: a setting of the unit"},
		{"the seal in another mount namespace", nil, fakeMachine{booted: true, elsewhere: true}, []string{"seal"}, 1, "cannot work in a mount namespace of its own: a setting of the unit"},
		{"the unseal in another mount namespace", nil, fakeMachine{booted: true, elsewhere: true}, []string{"unseal"}, 1, "cannot work in a mount namespace of its own: a setting of the unit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			f.server.machine = test.machine
			r, code := f.serve(t, test.pkexec, test.args...)
			if code != test.code || r.Outcome.ExitCode() != test.code || !strings.Contains(r.Error, test.want) {
				t.Errorf("exit %d, %s, %q, want exit %d and %q", code, r.Outcome, r.Error, test.code, test.want)
			}
			if len(f.worked) > 0 {
				t.Errorf("work was done: %+v", f.worked)
			}
			if len(f.records) != 1 || f.records[0].MessageID != MessageDenied || f.records[0].Fields["IMMUTRAY_OUTCOME"] != string(r.Outcome) {
				t.Errorf("journal %+v, want one record of the denial", f.records)
			}
		})
	}
}

func TestServeInPlace(t *testing.T) {
	tests := []struct {
		name    string
		pkexec  *string
		machine fakeMachine
		args    []string
	}{
		{"no systemd", uid("1000"), fakeMachine{}, []string{"lock"}},
		{"root in a container", nil, fakeMachine{elsewhere: true}, []string{"lock"}},
		{"root in a namespace of its own, with another configuration", nil, fakeMachine{booted: true, elsewhere: true}, []string{"unlock", "--config", "/etc/other.toml"}},
		{"root with another configuration", nil, fakeMachine{booted: true}, []string{"lock", "--config", "/etc/other.toml"}},
		{"the seal", nil, fakeMachine{booted: true}, []string{"seal"}},
		{"the seal in a container", nil, fakeMachine{elsewhere: true}, []string{"seal"}},
		{"the unseal", nil, fakeMachine{booted: true}, []string{"unseal"}},
		{"the unseal in a container", nil, fakeMachine{elsewhere: true}, []string{"unseal"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			f.server.machine = test.machine
			if r, code := f.serve(t, test.pkexec, test.args...); code != 0 || len(f.worked) != 1 {
				t.Errorf("exit %d, %+v, worked %+v, want the work done here", code, r, f.worked)
			}
			if len(f.records) != 1 || f.records[0].MessageID != MessageAsked {
				t.Errorf("journal %+v, want one record of who asks", f.records)
			}
		})
	}
}

func TestServeLogsWhoAsks(t *testing.T) {
	f := newFixture(t)
	r, _ := f.serve(t, uid("65534"), "unlock")
	fields := f.records[0].Fields
	for name, want := range map[string]string{
		"IMMUTRAY_VERB": "unlock", "IMMUTRAY_UID": "65534", "IMMUTRAY_USER": "nobody", "IMMUTRAY_REQUEST": r.Request.ID,
	} {
		if fields[name] != want {
			t.Errorf("%s=%q, want %q", name, fields[name], want)
		}
	}
	for _, name := range []string{"IMMUTRAY_LOGINUID", "IMMUTRAY_PARENT_PID", "IMMUTRAY_PARENT_UNVERIFIED"} {
		if fields[name] == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

func TestServeConfigRefused(t *testing.T) {
	f := newFixture(t)
	f.server.load = func(path string) (config.Config, error) {
		if path != "/etc/other.toml" {
			t.Errorf("configuration %q was read", path)
		}
		return config.LoadFile("relative")
	}
	r, code := f.serve(t, nil, "lock", "--config", "/etc/other.toml")
	if code != helper.ExitConfigRefused || r.Outcome != helper.ConfigRefused || !strings.HasPrefix(r.Error, "cannot use relative: ") {
		t.Errorf("exit %d, %+v", code, r)
	}
	if len(f.records) != 1 || f.records[0].MessageID != MessageDenied {
		t.Errorf("journal %+v, want one record of the denial", f.records)
	}
}

func TestServeAfterFailedPreparation(t *testing.T) {
	f := newFixture(t)
	f.server.surroundings = errors.New("cannot set RLIMIT_FSIZE: operation not permitted")
	if r, code := f.serve(t, nil, "lock"); code != helper.ExitFailed || len(f.worked) > 0 {
		t.Errorf("exit %d, %+v, worked %v, want a refusal", code, r, f.worked)
	}
}

// For a caller that is gone before the handshake nothing is done: it would never learn of
// it. The boot and the units have no caller.
func TestServeWithoutReader(t *testing.T) {
	reader, writer := io.Pipe()
	reader.Close()
	for args, worked := range map[string]int{"lock": 0, "unlock": 0, "seal": 1, "unseal": 1} {
		f := newFixture(t)
		f.server.stdout = writer
		if code := f.server.serve(context.Background(), append([]string{"x"}, strings.Fields(args)...), nil); len(f.worked) != worked || (code == 0) != (worked == 1) {
			t.Errorf("%s: exit %d, worked %d times, want %d", args, code, len(f.worked), worked)
		}
	}
}

// A caller that does not read does not keep the helper waiting.
func TestServeWithHangingReader(t *testing.T) {
	f := newFixture(t)
	reader, writer := io.Pipe()
	defer reader.Close()
	f.server.stdout, f.server.writeTimeout = writer, 10*time.Millisecond
	go io.ReadFull(reader, make([]byte, len(helper.Handshake)+1))
	if code := f.server.serve(context.Background(), []string{"x", "lock"}, nil); code != helper.ExitDone || len(f.worked) != 1 {
		t.Errorf("exit %d, worked %d times, want the work done", code, len(f.worked))
	}
}
