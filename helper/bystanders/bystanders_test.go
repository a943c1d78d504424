package bystanders

import (
	"slices"
	"testing"

	"immutray.org/helper"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		behind []helper.Bystander
		want   string
	}{
		{nil, ""},
		{[]helper.Bystander{{Unit: "NetworkManager.service", Program: "NetworkManager", PID: 7}},
			`1 service still sees it read-only: run "systemctl restart NetworkManager.service"`},
		{[]helper.Bystander{{Unit: "cups.service"}, {Unit: "dbus.service"}, {Unit: "user@1000.service"}},
			`3 services still see it read-only: run "systemctl restart cups.service"; start again dbus.service, user@1000.service`},
		{[]helper.Bystander{{Unit: "cups.service", PID: 7}, {Unit: "cups.service", PID: 8}},
			`2 services still see it read-only: run "systemctl restart cups.service"`},
		{[]helper.Bystander{{Unit: "session-1.scope", Program: "sh", PID: 7}},
			"1 program still sees it read-only: start again sh (pid 7)"},
		{[]helper.Bystander{{}},
			"1 program still sees it read-only: start again a mount namespace without a process"},
	} {
		if got := Words(c.behind); got != c.want {
			t.Errorf("Words(%+v) = %q, want %q", c.behind, got, c.want)
		}
	}
}

func TestRestartableAreServicesThatPeopleCanDoWithoutForAMoment(t *testing.T) {
	behind := []helper.Bystander{
		{Unit: "cups.service", PID: 7}, {Unit: "cups.service", PID: 8}, {Unit: "gdm.service"}, {Unit: "user@1000.service"},
		{Unit: "session-1.scope", Program: "sh", PID: 9}, {}, {Unit: "NetworkManager.service"},
	}
	if got, want := Restartable(behind), []string{"cups.service", "NetworkManager.service"}; !slices.Equal(got, want) {
		t.Errorf("Restartable() = %q, want %q", got, want)
	}
}
