package tray

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/notify"
)

// errBusGone ends the applet: the session, and with it everything to show and to be
// shown in, is over.
var errBusGone = errors.New("the session bus is gone")

// An app is the applet, put together.
type app struct {
	system   source
	helper   requester
	services restarter
	history  historian
	clock    notify.Clock
	theme    theme
	settings settingsFile // as it was at the start
	version  string
	log      *slog.Logger
}

// garbage is how much may be collected at a time, in percent of what is in use: little, as
// the applet does little, and is there as long as the computer. It saves two megabytes.
const garbage = 25

// run runs the applet until ctx ends, Quit is chosen, or the session is over.
func (a *app) run(ctx context.Context) error {
	debug.SetGCPercent(garbage)
	conn, err := connectSession()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := beOnly(conn); err != nil {
		return err
	}
	outer := ctx // ends when the session or a signal ends the applet, not with Quit
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(conn.Context(), func() { cancel(errBusGone) })()

	c := a.controller(func() { cancel(nil) })
	notifier, err := notify.NewNotifier(conn, notify.Options{Fallback: notify.Beeep(), OnAction: c.Act})
	if err != nil {
		return err
	}
	defer notifier.Stop()
	r := a.reminders(c, notifier)
	host := a.host(c)
	c.Notes, c.Reminders, c.Screen = notifier, r, host
	if err := host.Start(c.First()); err != nil {
		return err
	}
	defer host.Stop()
	c.SettingsRead(a.settings)
	a.runAll(ctx, conn, c, r, host)
	cause := context.Cause(ctx)
	if outer.Err() != nil || errors.Is(cause, errBusGone) {
		c.lockOnLogout()
	}
	if errors.Is(cause, errBusGone) {
		return cause
	}
	return nil
}

func (a *app) runAll(ctx context.Context, conn *dbus.Conn, c *controller, r *notify.Reminders, h *host) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Add(4)
	go func() {
		defer running.Done()
		r.Run(ctx)
	}()
	go func() {
		defer running.Done()
		a.followScreen(ctx, c)
	}()
	go func() {
		defer running.Done()
		if err := followSettings(ctx, a.settings.Path, c.SettingsRead); err != nil {
			a.log.Warn("changes of the settings are not noticed", "error", err)
		}
	}()
	go func() {
		defer running.Done()
		r := registration{icon: h, clock: a.clock, present: c.TrayPresent, log: a.log}
		if err := r.run(ctx, conn); err != nil && ctx.Err() == nil {
			a.log.Warn("cannot follow the tray", "error", err)
		}
	}()
	c.Run(ctx)
}

func (a *app) controller(quit func()) *controller {
	return &controller{surroundings: surroundings{
		System:   a.system,
		Helper:   a.helper,
		Services: a.services,
		History:  a.history,
		Clock:    a.clock,
		Settings: a.settings.Settings,
		Version:  a.version,
		Log:      a.log,
		Quit:     quit,
		MayLock:  mayLock,
	}}
}

func (a *app) reminders(c *controller, n *notify.Notifier) *notify.Reminders {
	return &notify.Reminders{
		Notifier: n,
		Clock:    a.clock,
		Settings: a.settings.Settings.Remind,
		LockNow:  c.LockNow,
		Extend:   c.Extend,
		Changed:  c.Refresh,
		Failed:   func(err error) { a.log.Warn("cannot remind", "error", err) },
		Icon:     func(s helper.State) string { return string(iconFor(face(s))) },
	}
}

func (a *app) host(c *controller) *host {
	h := &host{Theme: a.theme, Choose: c.Choose, Log: a.log}
	if a.settings.Settings.Click != clickMenu {
		h.Activate = c.Activate
	}
	return h
}
