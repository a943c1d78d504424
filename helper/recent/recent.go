// Package recent keeps the records of the last windows in the state directory, for those who may
// not read the journal, and where there is none. They are those of this boot: the state directory
// is empty at the next.
//
// Who may read what: everyone when the system was unlocked, for how long and by whom; a user also
// the reasons that he has given himself; root, who can read the journal, everything. A reason is
// free text, and may say more than its author wants others to know; a command line may hold a
// password. So there is a file for everyone without either, one for each user who has given a
// reason, and one for root. Nothing here is ever read from a file that a user can write to.
package recent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/journal"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
	"immutray.org/helper/wholefile"
)

const (
	// maxValue bounds a field: names come from the user database, which may be anyone's.
	maxValue = 2 << 10
	// maxSize is more than ten windows with fields of that length take.
	maxSize = 1 << 20
	// lockTimeout is how long another process may write. It takes microseconds, unless that
	// process is stopped; what waits here holds up a lock.
	lockTimeout = 200 * time.Millisecond
)

// A record has the fields of a journal entry, as "journalctl --output=json" prints them.
type record map[string]string

// Keep adds an entry of the journal, if it is about a window. It must be called as root.
func Keep(dir string, e journal.Entry) error {
	if e.MessageID != journal.Intent && e.MessageID != journal.Outcome {
		return nil
	}
	if err := keep(statedir.Dir(dir).History(), e); err != nil {
		return fmt.Errorf("cannot keep the history: %w", text.Because(err))
	}
	return nil
}

func keep(folder statedir.History, e journal.Entry) error {
	if err := folder.Make(); err != nil {
		return err
	}
	unlock, err := lock(folder)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := records(folder.All())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		old = nil // it is damaged: the history begins again
	}
	added, err := newRecord(e)
	if err != nil {
		return err
	}
	kept := lastWindows(append(slices.Clone(old), added))
	if slices.EqualFunc(old, kept, maps.Equal[record, record]) {
		return nil
	}
	return write(folder, kept)
}

func lock(folder statedir.History) (unlock func(), err error) {
	f, err := os.OpenFile(folder.Lock(), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockTimeout); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if time.Now().After(end) {
			f.Close()
			return nil, os.NewSyscallError("flock", err)
		}
	}
}

// newRecord is the record that the journal makes of an entry of root's.
func newRecord(e journal.Entry) (record, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	var monotonic unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic); err != nil {
		return nil, os.NewSyscallError("clock_gettime", err)
	}
	r := record{
		"MESSAGE_ID": e.MessageID, "_UID": "0",
		"_BOOT_ID":              strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", ""),
		"__REALTIME_TIMESTAMP":  strconv.FormatInt(time.Now().UnixMicro(), 10),
		"__MONOTONIC_TIMESTAMP": strconv.FormatInt(monotonic.Nano()/1000, 10),
	}
	for _, field := range journal.HistoryFields() {
		if value := e.Fields[field]; value != "" {
			r[field] = strings.ToValidUTF8(value[:min(len(value), maxValue)], "")
		}
	}
	return r, nil
}

// write replaces the files, that of root first, which the next call reads.
func write(folder statedir.History, kept []record) error {
	err := wholefile.WritePrivately(folder.All(), encode(kept))
	if err != nil {
		return err
	}
	files := []string{folder.All(), folder.Lock(), folder.Everyone()}
	err = wholefile.Write(folder.Everyone(), encode(redacted(kept, nil)))
	for _, uid := range authors(kept) {
		// Where there are no access control lists, a user reads what everyone may.
		if wholefile.WriteForUser(folder.Of(uid), encode(redacted(kept, &uid)), uid) == nil {
			files = append(files, folder.Of(uid))
		}
	}
	removeAllBut(folder, files)
	return err
}

// removeAllBut removes what is out of date, and what a process that was killed has left.
func removeAllBut(folder statedir.History, files []string) {
	entries, _ := os.ReadDir(folder.Path)
	for _, e := range entries {
		if path := filepath.Join(folder.Path, e.Name()); !slices.Contains(files, path) {
			_ = os.Remove(path)
		}
	}
}

func encode(kept []record) []byte {
	var b bytes.Buffer
	for _, r := range kept {
		line, err := json.Marshal(r)
		if err == nil { // it always is, of strings
			b.Write(append(line, '\n'))
		}
	}
	return b.Bytes()
}

// Read returns the records that this process may read, as "journalctl --output=json" prints
// them. The error wraps [fs.ErrNotExist] if none were kept.
func Read(dir string) ([]byte, error) {
	folder := statedir.Dir(dir).History()
	for _, path := range []string{folder.All(), folder.Of(uint32(os.Geteuid()))} {
		if data, err := read(path); err == nil {
			return data, nil
		}
	}
	return read(folder.Everyone())
}

func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSize)
	}
	return data, err
}

func records(path string) ([]record, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	var all []record
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Buffer(nil, maxSize+1); lines.Scan(); {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, lines.Err()
}
