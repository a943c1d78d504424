package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// attemptEvery is how long after an attempt to lock the next one follows. Each of them
// waits for writers itself, for the drain time.
const attemptEvery = 2 * time.Second

// waitToLock locks as soon as writers and package managers let it, if that is within the
// time of --wait. When ctx ends, an attempt that has begun is completed, so that its
// result can be printed.
func (a *app) waitToLock(ctx context.Context) error {
	if a.configFile != "" {
		if _, err := a.config(); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	w := &wait{progress: progress{app: a}, asks: a.requester(), until: time.Now().Add(a.wait)}
	result, err := w.lock(ctx)
	w.progress.clear()
	if result != nil && err != nil && ctx.Err() != nil {
		if err := a.print(resultText(result, a.clock)); err != nil {
			return err
		}
		return &failure{code: helper.ExitFailed, err: errCancelled}
	}
	return a.printResult(ctx, result, err)
}

// A wait is one "immutectl lock --wait".
type wait struct {
	progress progress
	asks     requester
	until    time.Time
}

// lock returns how the last attempt ended.
func (w *wait) lock(ctx context.Context) (*helper.Result, error) {
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	for {
		result, err := w.attempt(ctx, seconds.C)
		if err == nil || !passes(result) {
			return result, err
		}
		w.progress.say(waitingFor(result.Busy, result.Writers, result.MoreWriters), left(time.Until(w.until)))
		again := time.NewTimer(min(attemptEvery, time.Until(w.until)))
		for paused := true; paused; {
			select {
			case <-seconds.C:
				w.progress.count(left(time.Until(w.until)))
			case <-again.C:
				paused = false
			case <-ctx.Done():
				again.Stop()
				return result, err
			}
		}
		if !time.Now().Before(w.until) {
			return result, err
		}
	}
}

func (w *wait) attempt(ctx context.Context, seconds <-chan time.Time) (result *helper.Result, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err = w.asks.Do(ctx, helper.Request{Verb: helper.Lock})
	}()
	for {
		select {
		case <-seconds:
			w.progress.count(left(time.Until(w.until)))
		case <-ended:
			return result, err
		}
	}
}

// passes reports whether what was in the way goes away by itself.
func passes(r *helper.Result) bool {
	return r != nil && (r.Outcome == helper.Blocked || r.Outcome == helper.PackageManager)
}

// A progress shows on stderr what immutectl waits for: on a terminal in one line that is
// overwritten, otherwise in a new line whenever it changes.
type progress struct {
	*app
	text  string // "" before the first
	shown bool   // a line is on the terminal
}

// say shows the text and, on a terminal, the rest after it.
func (p *progress) say(text, rest string) {
	changed := text != p.text
	p.text = text
	switch {
	case p.errorWidth() > 0:
		p.count(rest)
	case changed:
		p.printNotice(text)
	}
}

// left is the rest of the line of a wait.
func left(d time.Duration) string { return fmt.Sprintf(", %s left", max(0, d).Round(time.Second)) }

// count shows the line again with another rest, which has a time.
func (p *progress) count(rest string) {
	width := p.errorWidth()
	if p.text == "" || width == 0 {
		return
	}
	// A line that is as wide as the terminal would be followed by an empty one.
	line := text.Shorten(text.Visible(p.text), width-1-len(rest)) + rest
	fmt.Fprintf(p.stderr, "\r%s\x1b[K", line)
	p.shown = true
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		io.WriteString(p.stderr, "\r\x1b[K")
		p.shown = false
	}
}
