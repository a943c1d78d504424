package tray

import (
	"context"
	"reflect"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/history"
	"immutray.org/helper/inforce"
	"immutray.org/helper/text"
)

const (
	// maxWindows is how many windows the menu shows. It has maxPast lines for them, or for
	// why there are none.
	maxWindows = 5
	// recorded is how long after a change of the state the records of it take at most
	// to be in the journal.
	recorded = 2 * time.Second
)

type historian interface {
	Read(ctx context.Context, most int, now helper.Status) (history.Past, error)
}

// machineHistory is the history of the configuration in force.
type machineHistory struct{ config inforce.Source }

func (h machineHistory) Read(ctx context.Context, most int, now helper.Status) (history.Past, error) {
	r := &history.Reader{StateDir: h.config.Load().StateDir}
	return r.Read(ctx, most, now)
}

// A past is what is known of the last windows, or why nothing is.
type past struct {
	history.Past
	Err  error
	Hint string
}

// A memory is how far a controller has come with reading the history. It reads when
// the window has changed, and at no other time.
type memory struct {
	past    *past // nil: not read yet
	reading bool
	again   bool // the window has changed while it was read
	of      windowAt
}

// A windowAt is what decides whether there is something new to read.
type windowAt struct {
	locked bool
	window *helper.Window
	runs   []helper.Run
}

// remember reads the history if there is something new in it.
func (c *controller) remember() {
	m := &c.memory
	status := c.report.Status
	now := windowAt{status.State == helper.Locked, status.Window, status.Runs}
	changed := !reflect.DeepEqual(now, m.of)
	m.of = now
	switch {
	case c.History == nil || c.ctx == nil:
	case m.reading:
		m.again = m.again || changed
	case m.past == nil || changed:
		c.readHistory()
	}
}

func (c *controller) readHistory() {
	c.memory.reading, c.memory.again = true, false
	ctx, now := c.ctx, c.report.Status
	go func() {
		if !c.pause(ctx, recorded) {
			return
		}
		found, err := c.History.Read(ctx, maxWindows, now)
		c.in.Put(func() { c.remembered(found, err) })
	}()
}

func (c *controller) remembered(found history.Past, err error) {
	if c.ctx.Err() != nil {
		return
	}
	if err != nil {
		c.Log.Debug("no history", "error", err)
	}
	c.memory.past = &past{Past: found, Err: err, Hint: client.Hint(err)}
	c.memory.reading = false
	if c.memory.again {
		c.readHistory()
	}
}

// isRead reports whether the history has been read.
func isRead(s snapshot) bool { return s.Past != nil }

func pastLines(s snapshot) ([]string, int) {
	switch p := s.Past; {
	case p.Err != nil:
		return append(wrap(sentence(p.Err.Error())), wrap(p.Hint)...), 0
	case len(p.Windows) == 0 && p.Unread != nil:
		return []string{"No unlocks since the computer was started"}, 0
	case len(p.Windows) == 0:
		return []string{"No unlocks in the journal"}, 0
	}
	var lines []string
	for _, w := range s.Past.Windows {
		lines = append(lines, windowLine(w, s.Now))
	}
	if s.Past.Unread != nil {
		lines = append(lines, "Since the computer was started; without others' reasons")
	}
	return lines, 0
}

// windowLine says "Mon 13:30 for 42 min by rrs (new kernel): locked by rrs".
func windowLine(w history.Window, now time.Time) string {
	line := text.TimeOfDay(w.Since, now)
	if !w.Ended.IsZero() {
		line += " for " + text.Duration(w.Lasted)
	}
	if user := text.Name(w.User, maxName); user != "" {
		line += " by " + user
	}
	if why := w.Why(); why != "" {
		line += " (" + text.Name(why, maxName) + ")"
	}
	return line + ": " + text.Name(w.EndWords(), labelWidth)
}
