package engine

import (
	"time"

	"immutray.org/helper/boottime"
)

// A clock returns the time of day, for people, and the time since boot, which counts the
// machine's sleep and can't be set: windows end by the latter. The zero value is the machine's
// clock.
type clock struct {
	wall func() time.Time
	boot func() time.Duration
}

func (c clock) now() (wall time.Time, sinceBoot time.Duration) {
	if c.wall != nil {
		return c.wall(), c.boot()
	}
	return time.Now(), boottime.Now()
}

// in returns when about d will have passed from now on, on both clocks: at a full second of the
// time of day, so that the end is at the time that is shown.
func (c clock) in(d time.Duration) (until time.Time, after, sinceBoot time.Duration) {
	wall, boot := c.now()
	until = wall.Add(d).Truncate(time.Second)
	if until.Before(wall.Add(d)) {
		until = until.Add(time.Second)
	}
	after = until.Sub(wall)
	return until.Round(0), after, boot + after
}
