package tray

import (
	"strings"
	"testing"
	"time"

	"immutray.org/notify"
)

// The button of the reminder and the entry of the menu name one and the same time.
func TestButtonAndMenuAgree(t *testing.T) {
	for d := time.Minute; d <= longestTime; d += time.Minute {
		s := snapshot{Report: unlockedAt, Snooze: d, Now: testNow}
		reminder := notify.Reminder(unlockedAt.Status, testNow, d, "")
		if label := reminder.Actions[1].Label; !strings.Contains(build(s).text(), label+"\n") {
			t.Errorf("the button says %q, the menu\n%s", label, build(s).text())
		}
	}
}
