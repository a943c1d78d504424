package history

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
	"immutray.org/helper/recent"
	"immutray.org/helper/text"
)

const (
	// timeout is for one reading of the journal.
	timeout = 20 * time.Second
	// maxOutput bounds one reading: some ten thousands of records.
	maxOutput = 64 << 20
	maxWords  = 16 << 10
	// socket exists if there is a journal.
	socket = "/run/systemd/journal/socket"
	bootID = "/proc/sys/kernel/random/boot_id"
)

// A Reader reads the history. The zero value reads that of this machine.
type Reader struct {
	Journalctl string // "" is journalctl from PATH
	// Config is the configuration file that root named; "" is the machine's. Each has a
	// history of its own.
	Config string
	// StateDir is the state directory of that configuration; "" is the default's.
	StateDir string

	socket, bootID string        // "" are those of the machine
	timeout        time.Duration // 0 is the constant
}

// A Past is what is known of the windows, the newest first.
type Past struct {
	Windows []Window
	// Unread is why the journal could not be read; nil if it was. Then the windows are the last
	// of this boot, without the reasons of other users. It wraps journal.ErrMissing or
	// journal.ErrNotAllowed.
	Unread error
}

// Read returns the last windows: at most that many, or all if most is 0. now is the present
// state, which the records need not have.
func (r *Reader) Read(ctx context.Context, most int, now helper.Status) (Past, error) {
	past, err := r.read(ctx, most, now)
	if err != nil {
		return Past{}, fmt.Errorf("cannot read the history: %w", text.Because(err))
	}
	return past, nil
}

func (r *Reader) read(ctx context.Context, most int, status helper.Status) (Past, error) {
	boot, err := os.ReadFile(cmp.Or(r.bootID, bootID))
	if err != nil {
		return Past{}, err
	}
	now := present{boot: strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", ""), locked: status.State == helper.Locked}
	for _, r := range status.Runs {
		now.atWork = append(now.atWork, r.ID)
	}
	found, err := r.fromJournal(ctx, most, now)
	past := Past{Windows: found}
	if errors.Is(err, journal.ErrMissing) || errors.Is(err, journal.ErrNotAllowed) {
		past.Unread = err
		past.Windows, err = r.fromRecent(most, now)
		if errors.Is(err, fs.ErrNotExist) {
			// Nothing has happened since the boot, as far as is known.
			err = nil
			if status.Window != nil || len(status.Runs) > 0 {
				err = past.Unread
			}
		}
	}
	return past, err
}

func (r *Reader) fromJournal(ctx context.Context, most int, now present) ([]Window, error) {
	found, err := r.lastWindows(ctx, most, now)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		if _, err := os.Stat(cmp.Or(r.socket, socket)); errors.Is(err, fs.ErrNotExist) {
			return nil, journal.ErrMissing
		}
	}
	for _, w := range found {
		if w.End == Crash {
			if err := r.lastOfBoot(ctx, w); err != nil {
				return nil, err
			}
		}
	}
	return values(found), nil
}

// fromRecent reads what root has kept for those who can't read the journal.
func (r *Reader) fromRecent(most int, now present) ([]Window, error) {
	data, err := recent.Read(cmp.Or(r.StateDir, config.Default().StateDir))
	if err != nil {
		return nil, err
	}
	records, _, err := parse(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	found := windows(slices.DeleteFunc(records, r.isOthers), now)
	if most > 0 && len(found) > most {
		found = found[:most]
	}
	return values(found), nil
}

func values(found []*Window) []Window {
	result := make([]Window, len(found))
	for i, w := range found {
		result[i] = *w
	}
	return result
}

// lastWindows reads as much of the journal as the last windows take.
func (r *Reader) lastWindows(ctx context.Context, most int, now present) ([]*Window, error) {
	// A window without extensions has four records, and a boot without windows two.
	for lines := 200 + 20*most; ; lines *= 10 {
		args := []string{"--output-fields=" + strings.Join(fields(), ",")}
		if most > 0 {
			args = append(args, "--lines="+strconv.Itoa(lines))
		}
		records, all, err := r.records(ctx, append(args, matches()...)...)
		if err != nil {
			return nil, err
		}
		found := windows(slices.DeleteFunc(records, r.isOthers), now)
		if most > 0 && len(found) > most {
			return found[:most], nil
		}
		// Else the oldest may have begun before the first of these lines.
		if most == 0 || all < lines {
			return found, nil
		}
	}
}

// isOthers reports whether a record belongs to another history.
func (r *Reader) isOthers(rec record) bool {
	named := r.Config
	if named == config.Path {
		named = ""
	}
	return rec.kind != shutdown && rec.config != named
}

// lastOfBoot sets the end of a window without one to the last record of its boot.
func (r *Reader) lastOfBoot(ctx context.Context, w *Window) error {
	out, err := r.run(ctx, "--lines=1", "--output-fields=_BOOT_ID", "_BOOT_ID="+w.began.boot)
	if err != nil || len(bytes.TrimSpace(out)) == 0 { // that boot has just left the journal
		return err
	}
	var e entry
	if err := json.Unmarshal(out, &e); err != nil {
		return fmt.Errorf("cannot understand the journal: %w", err)
	}
	if last, ok := e.moment(); ok && last.monotonic > w.began.monotonic {
		w.close(last, Crash)
	}
	return nil
}

func (r *Reader) records(ctx context.Context, args ...string) ([]record, int, error) {
	out, err := r.run(ctx, args...)
	if err != nil {
		return nil, 0, err
	}
	return parse(bytes.NewReader(out))
}

// run runs journalctl on the system's journal and returns what it printed. Users can't write to
// that journal.
func (r *Reader) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.timeout, timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, cmp.Or(r.Journalctl, "journalctl"),
		append([]string{"--system", "--quiet", "--no-pager", "--output=json"}, args...)...)
	cmd.Env = []string{"LC_ALL=C"} // without the variables that change what journalctl prints
	cmd.WaitDelay = time.Second
	out, words := &text.Clip{Most: maxOutput}, &text.Clip{Most: maxWords}
	cmd.Stdout, cmd.Stderr = out, words
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("journalctl: %w", ctx.Err())
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return nil, journal.ErrMissing
	case err != nil && strings.Contains(string(words.Data), "insufficient permissions"):
		return nil, journal.ErrNotAllowed
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(string(words.Data)), "\n")
		return nil, fmt.Errorf("journalctl: %w: %s", err, line)
	case out.Cut:
		return nil, errors.New("the journal has too many records")
	}
	return out.Data, nil
}
