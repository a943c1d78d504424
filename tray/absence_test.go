package tray

import (
	"testing"
	"time"
)

func TestAbsenceIsSaidOnce(t *testing.T) {
	var a absence
	now := testNow
	if _, waiting := a.wait(now); waiting || a.isDue(now) {
		t.Error("a tray is missed before anything is known of it")
	}
	a.changed(now, false)
	if left, waiting := a.wait(now.Add(time.Second)); !waiting || left != noTrayTimeout-time.Second {
		t.Errorf("wait() = %v, %v", left, waiting)
	}
	a.changed(now, true)
	if a.isDue(now.Add(time.Hour)) {
		t.Error("a tray that came in time is missed")
	}
	a.changed(now, false)
	if a.isDue(now.Add(noTrayTimeout-1)) || !a.isDue(now.Add(noTrayTimeout)) {
		t.Error("it is due too early or never")
	}
	a.changed(now, true)
	a.changed(now, false)
	if a.isDue(now.Add(time.Hour)) {
		t.Error("it is said again")
	}
}
