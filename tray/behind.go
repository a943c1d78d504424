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

// behindLabel says how many there are.
func behindLabel(s snapshot) string {
	if len(s.Report.Status.StillReadOnly) == 0 {
		return ""
	}
	return bystanders.Count(s.Report.Status.StillReadOnly)
}

// restartLabel offers to restart those that can be restarted while people work.
func restartLabel(s snapshot) string {
	behind := s.Report.Status.StillReadOnly
	units := bystanders.Restartable(behind)
	switch {
	case len(units) == 0:
		return ""
	case bystanders.StartAgain(behind) != "":
		return fmt.Sprintf("Restart %d of them…", len(units))
	case len(behind) == 1:
		return "Restart it…"
	}
	return "Restart them…"
}

func cannotRestart(s snapshot) bool { return isAsking(s) || s.Restarting }

// startAgain says which the person has to start again.
func startAgain(s snapshot) ([]string, int) {
	return wrap(text.Sentence(bystanders.StartAgain(s.Report.Status.StillReadOnly))), 0
}

// restart has the services restarted that can be, one request at a time. A lock does not
// wait for it.
func (c *controller) restart() {
	units := bystanders.Restartable(c.report.Status.StillReadOnly)
	if c.restarting || c.asked != "" || len(units) == 0 {
		return
	}
	c.restarting = true
	c.obstacle.restarting()
	ctx := c.ctx
	go func() {
		if !c.pause(ctx, settle) {
			return
		}
		c.Log.Debug("restarting services", "units", units)
		err := c.Services.Restart(ctx, units)
		c.in.Put(func() { c.restarted(units, err) })
	}()
}

// restarted takes the end of a restart. Those that have another process now are no longer
// among those that are left behind, so the state is read at once.
func (c *controller) restarted(units []string, err error) {
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
		c.obstacle.Failure = &failure{Err: err, Hint: restartHint(err, units), Restart: true}
	}
}

func restartHint(err error, units []string) string {
	byHand := `You can also run "sudo systemctl restart ` + strings.Join(units, " ") + `".`
	if errors.Is(err, client.ErrNoDialog) {
		return client.Hint(err) + " " + byHand
	}
	return byHand
}
