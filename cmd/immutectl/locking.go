package main

import (
	"context"
	"fmt"
	"time"

	"immutray.org/helper"
)

// lockNow locks once. On a terminal it shows, from the second second on, what the lock waits for:
// the helper says so only at the end.
func (a *app) lockNow(ctx context.Context) error {
	c, err := a.config() // also so that a refusal names the file of the command line
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	looking, enough := context.WithCancel(ctx)
	defer enough()
	p := &progress{app: a}
	begun := time.Now()
	var found chan string
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()

	var result *helper.Result
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err = a.requester().Do(ctx, helper.Request{Verb: helper.Lock})
	}()
	for {
		select {
		case <-ended:
			p.clear()
			return a.printResult(ctx, result, err)
		case <-seconds.C:
			switch {
			case a.errorWidth() == 0:
			case found == nil:
				found = make(chan string, 1)
				go func() { found <- a.lookFor(looking, c.Paths) }()
			default:
				p.count(elapsed(begun))
			}
		case text := <-found:
			p.say(text, elapsed(begun))
		}
	}
}

// lookFor says what a lock waits for. Without root that may be a program that we can't see.
func (a *app) lookFor(ctx context.Context, paths []string) string {
	writers, _ := a.writers.Scan(ctx, paths) // what it could not see is not shown
	if len(writers) == 0 {
		return "waiting for the lock"
	}
	return waitingFor(nil, writers, 0)
}

func elapsed(begun time.Time) string {
	return fmt.Sprintf(" … %d s", int(time.Since(begun).Seconds()))
}
