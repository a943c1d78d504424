package tray

import (
	"context"
	"reflect"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/history"
	"immutray.org/helper/text"
)

const (
	// maxWindows is how many windows the menu shows, and maxPast how many lines there
	// are for them, or for why there are none.
	maxWindows = 5
	maxPast    = 6
	// recorded is how long after a change of the state the records of it take at most
	// to be in the journal.
	recorded = 2 * time.Second
)

type historian interface {
	Read(ctx context.Context, most int, now helper.Status) ([]history.Window, error)
}

// A Past is what is known of the last windows, the newest first, or why nothing is.
type Past struct {
	Windows []history.Window
	Err     error
	Hint    string
}

// A memory is how far a controller has come with reading the history. It reads when
// the window has changed, and at no other time.
type memory struct {
	past    *Past // nil: not read yet
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
func (c *Controller) remember() {
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

func (c *Controller) readHistory() {
	c.memory.reading, c.memory.again = true, false
	ctx, now := c.ctx, c.report.Status
	go func() {
		if !c.pause(ctx, recorded) {
			return
		}
		windows, err := c.History.Read(ctx, maxWindows, now)
		c.in.put(func() { c.remembered(windows, err) })
	}()
}

func (c *Controller) remembered(windows []history.Window, err error) {
	if c.ctx.Err() != nil {
		return
	}
	if err != nil {
		c.Log.Debug("no history", "error", err)
	}
	c.memory.past = &Past{Windows: windows, Err: err, Hint: client.Hint(err)}
	c.memory.reading = false
	if c.memory.again {
		c.readHistory()
	}
}

// historyItems is the entry with the last windows in a submenu; none while nothing has
// been read.
func historyItems(s Snapshot) []Item {
	if s.Past == nil {
		return nil
	}
	return []Item{{ID: IDHistory, Label: "History", Children: list(IDLine, pastLines(*s.Past, s.Now), maxPast)}}
}

func pastLines(p Past, now time.Time) []string {
	if p.Err != nil {
		return append(wrap(sentence(p.Err.Error())), wrap(p.Hint)...)
	}
	if len(p.Windows) == 0 {
		return []string{"No unlocks in the journal"}
	}
	lines := make([]string, len(p.Windows))
	for i, w := range p.Windows {
		lines[i] = windowLine(w, now)
	}
	return lines
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
