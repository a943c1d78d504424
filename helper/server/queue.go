package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
)

// A queue is the directory by which servers pass requests to the units, and get answers.
// Several servers may wait at the same time, and systemd makes one run of a unit out of
// several starts; so every request is a file of its own:
//
//	lock.ID    a request that waits for the unit of its verb
//	taken.ID   the same file while the unit works on it
//	draft.ID   the result while it is written
//	answer.ID  the result
//
// A server holds its request as long as it lives: the next one removes what a dead one has
// left behind. A unit uses the folder while it works.
type queue struct{ statedir.Folder }

const (
	takenPrefix  = "taken."
	draftPrefix  = "draft."
	answerPrefix = "answer."
	// maxQueued bounds what is read of one file; answers name writers.
	maxQueued = 4 << 20
)

// openQueue makes the queue in the state directory, and that directory too.
func openQueue(stateDir string) (queue, error) {
	q := queue{statedir.Dir(stateDir).Requests()}
	return q, q.Make()
}

// A ticket is a request of ours in the queue.
type ticket struct {
	queue   queue
	request helper.Request
	held    *os.File
}

// put adds a request.
func (q queue) put(r helper.Request) (*ticket, error) {
	t := &ticket{queue: q, request: r}
	data, err := json.Marshal(r)
	if err == nil {
		t.held, err = q.Hold(filepath.Base(t.waiting()), data)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot pass on the request: %w", text.Because(err))
	}
	return t, nil
}

func (t *ticket) waiting() string {
	return filepath.Join(t.queue.Path, string(t.request.Verb)+"."+t.request.ID)
}

// isWaiting reports whether no unit has taken the request yet.
func (t *ticket) isWaiting() bool {
	_, err := os.Lstat(t.waiting())
	return err == nil
}

// answer returns the result, nil when there is none.
func (t *ticket) answer() (*helper.Result, error) {
	var r helper.Result
	err := readJSON(filepath.Join(t.queue.Path, answerPrefix+t.request.ID), &r)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && r.Request != t.request {
		err = errors.New("it belongs to another request")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	return &r, nil
}

// isAnswered reports whether the answer is there.
func (t *ticket) isAnswered() bool {
	_, err := os.Lstat(filepath.Join(t.queue.Path, answerPrefix+t.request.ID))
	return err == nil
}

// unlessAnswered returns a context that ends when the answer is there: what was to bring it
// about need not be waited for any longer.
func (t *ticket) unlessAnswered(ctx context.Context) context.Context {
	until, end := context.WithCancel(ctx)
	go func() {
		defer end()
		again := time.NewTicker(pollEvery)
		defer again.Stop()
		for !t.isAnswered() {
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return until
}

// close takes the ticket out of the queue, whatever became of it.
func (t *ticket) close() {
	os.Remove(t.waiting())
	os.Remove(filepath.Join(t.queue.Path, takenPrefix+t.request.ID))
	os.Remove(filepath.Join(t.queue.Path, answerPrefix+t.request.ID))
	t.held.Close()
}

// sweep removes what servers that were killed have left behind: users can start and kill
// many, and must not fill memory with their requests.
func (q queue) sweep() {
	entries, _ := os.ReadDir(q.Path) // what can't be read now is swept next time
	alive := map[string]bool{}
	for _, e := range entries {
		_, id, _ := strings.Cut(e.Name(), ".")
		alive[id] = alive[id] || q.isHeld(e.Name())
	}
	for _, e := range entries {
		if _, id, _ := strings.Cut(e.Name(), "."); !alive[id] {
			os.Remove(filepath.Join(q.Path, e.Name()))
		}
	}
}

// isHeld reports whether the server of a file lives, or may: a file that is gone since it
// was listed was renamed by a unit, or removed by its server.
func (q queue) isHeld(name string) bool {
	f, held, err := statedir.Open(filepath.Join(q.Path, name))
	if err != nil {
		return true
	}
	f.Close()
	return held
}

// work marks a unit as working, until stop is called.
func (q queue) work() (stop func(), err error) {
	if stop, err = q.Use(); err != nil {
		return nil, fmt.Errorf("cannot begin to work: %w", text.Because(err))
	}
	return stop, nil
}

// takeAlike returns the request that has waited longest for the verb's unit and, of a lock,
// all others that ask for the same: it is done once for all of them, so that a user cannot
// make others wait by asking again and again. Those that ask for something else are left.
func (q queue) takeAlike(verb helper.Verb) ([]helper.Request, error) {
	var alike []helper.Request
	for {
		r, ok, err := q.take(verb)
		if err != nil || !ok {
			return alike, err
		}
		if alike = append(alike, r); verb != helper.Lock || r.AfterRun {
			return alike, nil
		}
	}
}

// take returns a request that waits for the verb's unit, and marks it as taken; false
// when none is left. A file that is no request is an error, and gone.
func (q queue) take(verb helper.Verb) (r helper.Request, ok bool, err error) {
	entries, err := os.ReadDir(q.Path)
	if err != nil {
		return r, false, fmt.Errorf("cannot look for requests: %w", err)
	}
	prefix := string(verb) + "."
	var first string
	var since time.Time
	for _, e := range entries {
		// One that is gone was taken back by its server.
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), prefix) && (first == "" || info.ModTime().Before(since)) {
			first, since = e.Name(), info.ModTime()
		}
	}
	if first == "" {
		return r, false, nil
	}
	id := strings.TrimPrefix(first, prefix)
	taken := filepath.Join(q.Path, takenPrefix+id)
	if err := os.Rename(filepath.Join(q.Path, first), taken); err != nil {
		return r, false, fmt.Errorf("cannot take a request: %w", err)
	}
	err = readJSON(taken, &r)
	if err == nil && (r.Verb != verb || r.ID != id) {
		err = errors.New("its content does not match its name")
	}
	if err != nil {
		os.Remove(taken)
		return r, false, fmt.Errorf("cannot take a request: %w", err)
	}
	return r, true, nil
}

// reply leaves the answer to a taken request.
func (q queue) reply(r *helper.Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot leave the answer: %w", err)
	}
	path := filepath.Join(q.Path, answerPrefix+r.Request.ID)
	draft := filepath.Join(q.Path, draftPrefix+r.Request.ID)
	if err = os.WriteFile(draft, data, 0o600); err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return fmt.Errorf("cannot leave the answer: %w", err)
	}
	return nil
}

func readJSON(path string, to any) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxQueued))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}
