package tray

import (
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/notify/notifytest"
)

// overdueNow is overdue for a child, whose clock is the real one.
func overdueNow(o *helper.Overdue) report {
	r := unlockedNow()
	until := time.Now().Add(-time.Minute)
	r.Status.Window.Until, r.Status.Overdue = &until, o
	return r
}

// hasLines waits until the menu has these lines next to each other.
func (i *trayItem) hasLines(lines string) {
	i.p.t.Helper()
	var text string
	giveUp := time.Now().Add(timeout)
	for !strings.Contains(text, "\n"+lines+"\n") {
		if time.Now().After(giveUp) {
			i.p.t.Fatalf("the menu is\n%s\nwant in it\n%s", text, lines)
		}
		text = "\n" + i.text()
		time.Sleep(5 * time.Millisecond)
	}
}

// From the record that the lock of PID 1 is blocked to the lock by force, with a panel
// and a notification daemon: one notification, which says what is so at each step.
func TestABlockedEndAndALockByForce(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), unlockedNow())
	item := p.item()
	eventually(t, "the tooltip", item.tooltip, "Unlocked for less than 1 min by rrs")
	shows := func(summary string, actions ...string) notifytest.Post {
		t.Helper()
		state := server.WaitFor(summary, func(s notifytest.State) bool {
			return len(s.Open) == 1 && s.Open[0].Summary == summary
		})
		var keys []string
		for i := 0; i < len(state.Open[0].Actions); i += 2 {
			keys = append(keys, state.Open[0].Actions[i])
		}
		if !slices.Equal(keys, actions) || state.Open[0].Hints["urgency"].Value() != byte(2) {
			t.Errorf("%s: the notification is %+v, want critical, with the buttons %q", summary, state.Open[0], actions)
		}
		return state.Open[0]
	}

	c.set(overdueNow(blockedBy(vim)))
	post := shows("Not locked yet: files open", "retry", "force")
	if !strings.Contains(post.Body, "vim is writing to /etc/fstab") {
		t.Errorf("it does not say who: %+v", post)
	}
	item.hasLines("Who is writing…\n(vim (4242): /etc/fstab)\nLock anyway…")
	server.InvokeAction(post.ID, "retry")
	c.expect("do lock")
	c.answer(reply{Result: &helper.Result{Outcome: helper.Blocked, Error: "cannot lock: busy", Writers: []helper.Writer{vim}}})
	post = shows("Not locked: files in use", "retry", "force")
	server.InvokeAction(post.ID, "force")
	post = shows("Lock anyway?", "sure", "cancel")
	item.hasLines("Lock anyway: vim may crash or lose data…\nDon't lock")
	server.InvokeAction(post.ID, "sure")
	c.expect("do lock-force")
	c.set(lockedAt)
	c.answer(done(helper.LockForce))
	server.WaitFor("Locked alone", func(s notifytest.State) bool { return len(s.Open) == 1 && s.Open[0].Summary == "Locked" })
	eventually(t, "the tooltip", item.tooltip, "Locked")
	eventually(t, "the submenu", func() bool { return strings.Contains(item.text(), "writing") }, false)
}
