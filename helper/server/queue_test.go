package server

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/packaging/testbed/lab"
)

// stateDir returns where a state directory can be made that is only root's.
func stateDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(lab.Dir(t), "immutray")
}

func newQueue(t *testing.T) queue {
	t.Helper()
	q, err := openQueue(stateDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (q queue) names(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(q.Path)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func put(t *testing.T, q queue, r helper.Request) *ticket {
	t.Helper()
	ticket, err := q.put(r)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestQueue(t *testing.T) {
	q := newQueue(t)
	if got := mode(t, filepath.Dir(q.Path)); got != 0o755 {
		t.Errorf("the state directory has mode %o, want 755: everyone may read the state", got)
	}
	if got := mode(t, q.Path); got != 0o700 {
		t.Errorf("the queue has mode %o, want 700", got)
	}
	request := helper.Request{Verb: helper.Lock, ID: "1", UID: 1000, User: "rrs"}
	ticket := put(t, q, request)
	if got := mode(t, ticket.waiting()); got != 0o600 {
		t.Errorf("the request has mode %o, want 600", got)
	}
	if _, ok, err := q.take(helper.Unlock); ok || err != nil {
		t.Errorf("take(unlock) = %t, %v, want nothing: it is a lock that waits", ok, err)
	}
	if !ticket.isWaiting() {
		t.Error("the request does not wait")
	}
	if r, err := ticket.answer(); r != nil || err != nil {
		t.Errorf("answer() = %v, %v before anything was done", r, err)
	}
	got, ok, err := q.take(helper.Lock)
	if got != request || !ok || err != nil {
		t.Fatalf("take(lock) = %+v, %t, %v, want %+v", got, ok, err, request)
	}
	if ticket.isWaiting() {
		t.Error("the request still waits")
	}
	if _, ok, err := q.take(helper.Lock); ok || err != nil {
		t.Errorf("take(lock) again = %t, %v, want nothing", ok, err)
	}
	want := &helper.Result{Request: request, Outcome: helper.Blocked, Error: "cannot lock"}
	if err := q.reply(want); err != nil {
		t.Fatal(err)
	}
	if r, err := ticket.answer(); err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("answer() = %+v, %v, want %+v", r, err, want)
	}
	ticket.close()
	if names := q.names(t); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

func TestQueueSweep(t *testing.T) {
	q := newQueue(t)
	alive := put(t, q, helper.Request{Verb: helper.Lock, ID: "alive"})
	served := put(t, q, helper.Request{Verb: helper.Unlock, ID: "served"})
	if _, ok, err := q.take(helper.Unlock); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := q.reply(&helper.Result{Request: served.request}); err != nil {
		t.Fatal(err)
	}
	dead := put(t, q, helper.Request{Verb: helper.Lock, ID: "dead"})
	dead.held.Close() // as the kernel does for a process that is killed
	for _, name := range []string{"taken.gone", "answer.gone", "draft.gone", "rubbish"} {
		if err := os.WriteFile(filepath.Join(q.Path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(q.Path, "draft.alive"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	q.sweep()
	want := []string{"answer.served", "draft.alive", "lock.alive", "taken.served"}
	if got := q.names(t); !reflect.DeepEqual(got, want) {
		t.Errorf("after the sweep: %q, want %q", got, want)
	}
	alive.close()
	served.close()
}

func TestQueueIsWorking(t *testing.T) {
	q := newQueue(t)
	if q.IsUsed() {
		t.Error("IsUsed() = true before anyone does")
	}
	stop, err := q.work()
	if err != nil {
		t.Fatal(err)
	}
	second, err := q.work()
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if !q.IsUsed() {
		t.Error("IsUsed() = false while one of two works")
	}
	second()
	if q.IsUsed() {
		t.Error("IsUsed() = true after the last has stopped")
	}
}

func TestTakeRefusesWhatIsNoRequest(t *testing.T) {
	for name, text := range map[string]string{
		"lock.1": "",
		"lock.2": "{",
		"lock.3": `{"verb":"unlock","id":"3"}`,
		"lock.4": `{"verb":"lock","id":"5"}`,
	} {
		q := newQueue(t)
		if err := os.WriteFile(filepath.Join(q.Path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, ok, err := q.take(helper.Lock); ok || err == nil || !strings.HasPrefix(err.Error(), "cannot take a request: ") {
			t.Errorf("take() of %q = %+v, %t, %v, want a refusal", text, r, ok, err)
		}
		if names := q.names(t); len(names) > 0 {
			t.Errorf("left behind after %q: %q: no request could be served any more", text, names)
		}
	}
}

func TestAnswerOfAnother(t *testing.T) {
	q := newQueue(t)
	ticket := put(t, q, helper.Request{Verb: helper.Lock, ID: "1", UID: 1000})
	defer ticket.close()
	if err := q.reply(&helper.Result{Request: helper.Request{Verb: helper.Lock, ID: "1", UID: 0}}); err != nil {
		t.Fatal(err)
	}
	if r, err := ticket.answer(); r != nil || err == nil {
		t.Errorf("answer() = %+v, %v, want a refusal", r, err)
	}
}

func TestOpenQueueRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(dir string) error
		want string
	}{
		{"writable by others", func(dir string) error {
			return firstError(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o777))
		}, "it must be a directory that only root can write to"},
		{"a user's", func(dir string) error {
			return firstError(os.Mkdir(dir, 0o755), os.Chown(dir, 65534, 65534))
		}, "it must be a directory that only root can write to"},
		{"a symbolic link", func(dir string) error {
			return firstError(os.Mkdir(dir+".real", 0o755), os.Symlink(dir+".real", dir))
		}, "it must be a directory that only root can write to"},
		{"a file", func(dir string) error {
			return os.WriteFile(dir, nil, 0o600)
		}, "it must be a directory that only root can write to"},
		{"the queue a symbolic link", func(dir string) error {
			return firstError(os.Mkdir(dir, 0o755), os.Symlink("/", statedir.Dir(dir).Requests().Path))
		}, "it must be a directory that only root can write to"},
		{"nowhere", func(dir string) error {
			return os.Remove(filepath.Dir(dir))
		}, "no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := stateDir(t)
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := openQueue(dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("openQueue() = %v, want %q", err, test.want)
			}
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever the caller's umask, everyone can read the state directory, and root alone the queue.
func TestOpenQueueWhateverTheUmask(t *testing.T) {
	dir := stateDir(t)
	old := unix.Umask(0o777)
	q, err := openQueue(dir)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if mode(t, dir) != 0o755 || mode(t, q.Path) != 0o700 {
		t.Errorf("modes %o and %o, want 755 and 700", mode(t, dir), mode(t, q.Path))
	}
}
