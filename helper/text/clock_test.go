package text

import (
	"testing"
	"time"
)

func TestClockFor(t *testing.T) {
	at := time.Date(2026, 11, 30, 14, 5, 0, 0, time.Local)
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "14:05"},
		{map[string]string{"LANG": "C"}, "14:05"},
		{map[string]string{"LANG": "POSIX"}, "14:05"},
		{map[string]string{"LANG": "C.UTF-8"}, "14:05"},
		{map[string]string{"LANG": "en_GB.UTF-8"}, "14:05"},
		{map[string]string{"LANG": "de_DE.UTF-8@euro"}, "14:05"},
		{map[string]string{"LANG": "fr_CA.UTF-8"}, "14:05"},
		{map[string]string{"LANG": "en_US.UTF-8"}, "2:05 PM"},
		{map[string]string{"LANG": "en_US"}, "2:05 PM"},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_TIME": "de_DE.UTF-8"}, "14:05"},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_TIME": "en_US.UTF-8"}, "2:05 PM"},
		{map[string]string{"LC_ALL": "C", "LC_TIME": "en_US.UTF-8"}, "14:05"},
	} {
		c := ClockFor(func(name string) string { return test.env[name] })
		if got := c.TimeOfDay(at); got != test.want {
			t.Errorf("with %v: %q, want %q", test.env, got, test.want)
		}
		if got := c.Minute(at); got != "2026-11-30 "+test.want {
			t.Errorf("with %v: %q, want %q", test.env, got, test.want)
		}
	}
}
