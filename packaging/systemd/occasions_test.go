package systemd

import (
	"slices"
	"testing"
)

func TestSleepNeverWaitsForLong(t *testing.T) {
	options := read(t, onSleep)
	for name, want := range map[string][]string{
		"Before":   {"shutdown.target", "sleep.target"},
		"WantedBy": {"sleep.target"},
		// The machine sleeps all the same if it fails.
		"RequiredBy": nil, "UpheldBy": nil, "OnFailure": nil,
		// After the helper's own five seconds.
		"TimeoutStartSec": {"20s"},
		"TimeoutStopSec":  {"5s"},
		"Restart":         nil,
	} {
		if got := values(options, name); !slices.Equal(got, want) {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
}

func TestLogoutIsNoticed(t *testing.T) {
	path := read(t, "immutray-logout.path")
	for name, want := range map[string][]string{
		"PathChanged": {"/run/systemd/sessions"},
		"Unit":        nil, // the service of its name
		"Wants":       {onLogout},
		"WantedBy":    {"multi-user.target"},
	} {
		if got := values(path, name); !slices.Equal(got, want) {
			t.Errorf("immutray-logout.path: %s=%q, want %q", name, got, want)
		}
	}
	service := read(t, onLogout)
	for name, want := range map[string][]string{
		"Restart":                  {"on-failure"},
		"RestartSec":               {"20s"},
		"RestartPreventExitStatus": {"2 6"},
		"WantedBy":                 nil, // the path starts it
	} {
		if got := values(service, name); !slices.Equal(got, want) {
			t.Errorf("%s: %s=%q, want %q", onLogout, name, got, want)
		}
	}
}
