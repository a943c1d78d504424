package tray

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/notify"
)

const (
	watcherName = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
)

// pauses are those before each look at whether the tray lists the icon, two minutes in all.
// Bars of Quickshell, for instance, own the watcher's name for seconds before they answer.
// The first is for systray, which registers by itself: GNOME draws an icon again
// that is registered twice.
func pauses() []time.Duration {
	const s = time.Second
	return []time.Duration{1 * s, 2 * s, 3 * s, 5 * s, 10 * s, 20 * s, 30 * s, 50 * s}
}

// A registrant is an icon that can be registered with the tray.
type registrant interface {
	isRegistered(ctx context.Context) (bool, error)
	register(ctx context.Context) error
	isOwn(item string) bool
}

// A registration keeps the icon registered with whatever tray there is. systray does so
// too, but asks each tray once, and misses one that comes before it has begun to listen.
type registration struct {
	icon    registrant
	clock   notify.Clock
	present func(bool) // called at every change: is there a tray that has the icon
	log     *slog.Logger

	said *bool // what present was called with last
}

// run follows the tray until ctx ends or the bus is gone.
func (r *registration) run(ctx context.Context, conn *dbus.Conn) error {
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	if err := addTrayMatches(ctx, conn); err != nil {
		return fmt.Errorf("cannot watch for a tray: %w", err)
	}
	for {
		var owned bool
		if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcherName).Store(&owned); err != nil {
			return fmt.Errorf("cannot watch for a tray: %w", err)
		}
		var left []time.Duration
		if owned {
			left = pauses()
		} else {
			r.say(false)
		}
		if err := r.untilNews(ctx, signals, left); err != nil {
			return err
		}
	}
}

// addTrayMatches has the bus send what makes another look at the tray worthwhile.
func addTrayMatches(ctx context.Context, conn *dbus.Conn) error {
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, watcherName)},
		{dbus.WithMatchSender(watcherName), dbus.WithMatchMember("StatusNotifierHostRegistered")},
		{dbus.WithMatchSender(watcherName), dbus.WithMatchMember("StatusNotifierItemUnregistered")},
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return err
		}
	}
	return nil
}

// untilNews looks after the icon, after each of the pauses, until the tray has it or has
// news.
func (r *registration) untilNews(ctx context.Context, signals <-chan *dbus.Signal, left []time.Duration) error {
	for {
		var pause <-chan time.Time // never, when there is nothing to look after
		stop := func() {}
		if len(left) > 0 {
			pause, stop = r.clock.After(left[0])
		}
		select {
		case <-pause:
			if left = left[1:]; r.lookAfter(ctx, len(left) == 0) {
				left = nil
			}
		case s, ok := <-signals:
			switch {
			case !ok:
				return dbus.ErrClosed
			case r.isNews(s):
				stop()
				return nil
			}
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
	}
}

// isNews reports whether a signal is one of those: other parts of the applet have matches
// on the connection too.
func (r *registration) isNews(s *dbus.Signal) bool {
	var first string
	if len(s.Body) > 0 {
		first, _ = s.Body[0].(string)
	}
	switch s.Name {
	case "org.freedesktop.DBus.NameOwnerChanged":
		return first == watcherName
	case watcherName + ".StatusNotifierHostRegistered":
		return true
	case watcherName + ".StatusNotifierItemUnregistered":
		return r.icon.isOwn(first)
	}
	return false
}

// lookAfter registers the icon unless the tray lists it, and reports whether it does now.
// A tray that keeps no list is believed when it accepts the icon.
func (r *registration) lookAfter(ctx context.Context, last bool) bool {
	listed, unlisted := r.icon.isRegistered(ctx)
	if listed {
		r.say(true)
		return true
	}
	err := r.icon.register(ctx)
	if err == nil && unlisted == nil {
		listed, unlisted = r.icon.isRegistered(ctx)
	}
	done := err == nil && (listed || unlisted != nil)
	if ctx.Err() != nil {
		return false
	}
	r.say(done)
	switch {
	case done:
	case !last:
		r.log.Debug("the tray does not have the icon yet", "error", err)
	default:
		r.log.Warn("the tray does not take the icon", "error", err)
	}
	return done
}

func (r *registration) say(present bool) {
	if r.said == nil || *r.said != present {
		r.said = &present
		r.present(present)
	}
}
