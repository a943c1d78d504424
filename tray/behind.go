package tray

import (
	"errors"
	"fmt"
	"strings"

	"immutray.org/helper/bystanders"
	"immutray.org/helper/client"
	"immutray.org/helper/text"
)

// Programs to which an unlocked system is still read-only, and the restart of those that
// are services.

// behindItems say how many there are, and offer to restart those that can be restarted while
// people work.
func behindItems(s Snapshot) []Item {
	behind := s.Report.Status.StillReadOnly
	if len(behind) == 0 {
		return nil
	}
	items := []Item{{ID: IDBehind, Label: bystanders.Count(behind), Disabled: true}}
	again := bystanders.StartAgain(behind)
	if units := bystanders.Restartable(behind); len(units) > 0 {
		items = append(items, Item{ID: IDRestart, Label: restartLabel(len(behind), len(units), again == ""), Disabled: s.Asked != "" || s.Restarting})
	}
	return append(items, list(IDAgain, wrap(text.Sentence(again)), maxAgain)...)
}

func restartLabel(behind, units int, all bool) string {
	switch {
	case !all:
		return fmt.Sprintf("Restart %d of them…", units)
	case behind == 1:
		return "Restart it…"
	}
	return "Restart them…"
}

// restart has the services restarted that can be, one request at a time. A lock does not
// wait for it.
func (c *Controller) restart() {
	units := bystanders.Restartable(c.report.Status.StillReadOnly)
	if c.restarting || c.asked != "" || len(units) == 0 {
		return
	}
	c.restarting = true
	if !c.trouble.isObstacle() {
		c.trouble = nil
	}
	ctx := c.ctx
	go func() {
		if !c.pause(ctx, settle) {
			return
		}
		c.Log.Debug("restarting services", "units", units)
		err := c.Services.Restart(ctx, units)
		c.in.put(func() { c.restarted(units, err) })
	}()
}

// restarted takes the end of a restart. Those that have another process now are no longer
// among those that are left behind, so the state is read at once.
func (c *Controller) restarted(units []string, err error) {
	c.restarting = false
	c.took(c.System.Read())
	switch {
	case err == nil:
		c.Log.Info("restarted", "units", units)
	case errors.Is(err, client.ErrCancelled) && !errors.Is(err, client.ErrNoDialog):
		c.Log.Info("cancelled", "units", units)
	case c.ctx.Err() != nil:
	default:
		c.Log.Warn("cannot restart", "error", err)
		c.trouble = &Trouble{Err: err, Hint: restartHint(err, units), Restart: true}
	}
}

func restartHint(err error, units []string) string {
	byHand := `You can also run "sudo systemctl restart ` + strings.Join(units, " ") + `".`
	if errors.Is(err, client.ErrNoDialog) {
		return client.Hint(err) + " " + byHand
	}
	return byHand
}
