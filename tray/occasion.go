package tray

import (
	"context"
	"os"
	"slices"
	"time"

	"immutray.org/helper"
)

const (
	// watchScreenAgain is how long logind is left alone when it can't be listened to.
	watchScreenAgain = time.Minute
	// logoutTimeout is how long a lock may hold up the end of the applet. A session
	// manager waits longer (systemd's: 90 seconds) before it kills.
	logoutTimeout = 10 * time.Second
)

// wantsLock reports whether the system is to be locked on an occasion, and can be.
func (r report) wantsLock(on helper.Occasion) bool {
	shown := r.face()
	return slices.Contains(r.RelockOn, on) && (shown == unlocked || shown == partlyLocked)
}

// followScreen passes every lock of the screen to the controller until ctx ends.
func (a *app) followScreen(ctx context.Context, c *controller) {
	for ctx.Err() == nil {
		conn, err := connectSystem(ctx)
		if err == nil {
			err = watchScreen(ctx, conn, uint32(os.Getuid()), c.ScreenLocked)
			conn.Close()
		}
		if ctx.Err() == nil {
			a.log.Debug("cannot follow the screen", "error", err)
		}
		c.pause(ctx, watchScreenAgain)
	}
}

// ScreenLocked says that the person has locked the screen. It does not wait.
func (c *controller) ScreenLocked() { c.in.Put(c.screenLocked) }

// screenLocked locks if relock_on says so, and if no password is needed for it.
func (c *controller) screenLocked() {
	if !c.wantsLockWithScreen() {
		return
	}
	ctx := c.ctx
	go func() {
		err := c.MayLock(ctx)
		c.in.Put(func() {
			switch {
			case ctx.Err() != nil || !c.wantsLockWithScreen(): // it may have been locked meanwhile
			case err != nil:
				c.failed(helper.Lock, nil, err)
			default:
				c.lock()
			}
		})
	}()
}

func (c *controller) wantsLockWithScreen() bool {
	return c.asked == "" && c.report.wantsLock(helper.ScreenLock)
}

// lockOnLogout locks when Run has ended because the session ends, if relock_on says so.
// It comes in time where the desktop ends its programs while the session is still there;
// for the others there is immutray-logout.path. The outcome goes to the log: no desktop is
// left to show it.
func (c *controller) lockOnLogout() {
	if !c.System.Read().wantsLock(helper.Logout) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	err := c.MayLock(ctx)
	if err == nil {
		_, err = c.Helper.Do(ctx, helper.Request{Verb: helper.Lock})
	}
	if err != nil {
		c.Log.Warn("cannot lock on logout", "error", err)
		return
	}
	c.Log.Info("locked on logout")
}
