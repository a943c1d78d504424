package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/history"
	"immutray.org/helper/journal"
	"immutray.org/helper/statefile"
	"immutray.org/helper/writers"
)

// fakeMain is main on a fake kernel: what it says stands in files of the working
// directory. FAKE_USER=root makes the caller root, FAKE_CONFIG names the file that is
// refused as the usual configuration, or is "denied".
func fakeMain() {
	signal.Ignore(unix.SIGPIPE)
	a := newApp(os.Stdout, os.Stderr)
	a.root = os.Getenv("FAKE_USER") == "root"
	a.now = func() time.Time { return time.Date(2025, 12, 14, 21, 14, 8, 0, time.UTC) }
	a.state = func(c config.Config) stateReader { return fakeState{c.Refused} }
	a.lastSeal = fakeSeal
	a.writers = fakeWriters{}
	a.history = func(string, string) historyReader { return fakeHistory{} }
	a.loadConfig = func(file string) (config.Config, error) {
		if file != "" {
			return config.LoadFile(file)
		}
		c := config.Default()
		if file = os.Getenv("FAKE_CONFIG"); file != "" {
			_, c.Refused = config.LoadFile(file)
		}
		if file == "denied" {
			c.Refused = config.Refuse(config.Path, fs.ErrPermission)
		}
		return c, nil
	}
	os.Exit(a.run(context.Background(), os.Args[1:]))
}

// fakeState reads the state from status.json, and what it changes to from
// changes.json, one after another. Then it waits, or fails if FAKE_WATCH=fail.
type fakeState struct{ refused error }

func (f fakeState) Read() helper.Status {
	s := helper.Status{}
	must(decode("status.json", &s))
	s.ConfigError = config.Refusal(f.refused)
	return s
}

func (fakeState) Watch(ctx context.Context, changed func(helper.Status)) error {
	f, err := os.Open("changes.json")
	must(err)
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		s := helper.Status{}
		err := d.Decode(&s)
		if errors.Is(err, io.EOF) {
			break
		}
		must(err)
		changed(s)
	}
	if os.Getenv("FAKE_WATCH") == "fail" {
		return errors.New("cannot watch the state: poll: bad file descriptor")
	}
	<-ctx.Done()
	return nil
}

// fakeSeal reads how the boot was sealed from seal.json, if there is one.
func fakeSeal(config.Config) *statefile.Seal {
	var seal *statefile.Seal
	if err := decode("seal.json", &seal); !errors.Is(err, fs.ErrNotExist) {
		must(err)
	}
	return seal
}

// fakeWriters reads the writers from writers.json; without it the search fails. As the
// real search does, it sees all only as root, or not even then: FAKE_SCAN=incomplete.
type fakeWriters struct{}

func (fakeWriters) Scan(context.Context, []string) ([]helper.Writer, error) {
	var found []helper.Writer
	err := decode("writers.json", &found)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("cannot list processes: permission denied")
	}
	must(err)
	if os.Getenv("FAKE_USER") != "root" || os.Getenv("FAKE_SCAN") == "incomplete" {
		return found, &writers.IncompleteError{Processes: 2, Err: fs.ErrPermission}
	}
	return found, nil
}

// fakeHistory reads the windows from history.json; without it there is no history.
// With FAKE_USER=user there is no right to read the journal, with FAKE_USER=practice no journal. As the real one does, it shows no window as
// open when the system is locked.
type fakeHistory struct{}

func (fakeHistory) Read(_ context.Context, most int, now helper.Status) (history.Past, error) {
	var past history.Past
	switch os.Getenv("FAKE_USER") {
	case "user":
		past.Unread = journal.ErrNotAllowed
	case "practice":
		past.Unread = journal.ErrMissing
	}
	var found []history.Window
	err := decode("history.json", &found)
	if errors.Is(err, fs.ErrNotExist) {
		return history.Past{}, fmt.Errorf("cannot read the history: %w", journal.ErrMissing)
	}
	must(err)
	for i := range found {
		if now.State == helper.Locked && found[i].End == history.Open {
			found[i].End = history.Unseen
		}
	}
	if most > 0 && most < len(found) {
		found = found[:most]
	}
	past.Windows = found
	return past, nil
}

func decode(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// must ends the fake: a broken script is no answer of immutectl's.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
