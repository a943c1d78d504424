package helper

import "testing"

func TestStillReadOnlyWords(t *testing.T) {
	for _, c := range []struct {
		behind []Bystander
		want   string
	}{
		{nil, ""},
		{[]Bystander{{Unit: "NetworkManager.service", Program: "NetworkManager", PID: 7}},
			`1 service still sees it read-only: run "systemctl restart NetworkManager.service"`},
		{[]Bystander{{Unit: "cups.service"}, {Unit: "dbus.service"}, {Unit: "user@1000.service"}},
			`3 services still see it read-only: run "systemctl restart cups.service"; start again dbus.service, user@1000.service`},
		{[]Bystander{{Unit: "session-1.scope", Program: "sh", PID: 7}},
			"1 program still sees it read-only: start again sh (pid 7)"},
		{[]Bystander{{}},
			"1 program still sees it read-only: start again a mount namespace without a process"},
	} {
		if got := StillReadOnlyWords(c.behind); got != c.want {
			t.Errorf("StillReadOnlyWords(%+v) = %q, want %q", c.behind, got, c.want)
		}
	}
}
