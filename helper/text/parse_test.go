package text

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // a machine may have none
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "30min": 30 * time.Minute, "30 min": 30 * time.Minute, "30 Minutes": 30 * time.Minute,
		"3d": 3 * day, "1 day": day, "2w": 14 * day, "1h 30m": 90 * time.Minute, "1h30m": 90 * time.Minute,
		" 1 hour  30 minutes ": 90 * time.Minute, "1.5h": 90 * time.Minute, "1.5d": 36 * time.Hour, ".5 days": 12 * time.Hour,
		"90s": 90 * time.Second, "5 sec": 5 * time.Second, "1d12h": 36 * time.Hour, "2H": 2 * time.Hour,
		"0": 0, "0d": 0, "-1m": -time.Minute, "+1m": time.Minute, "250ms": 250 * time.Millisecond, "1 µs": time.Microsecond,
		"106751d": 106751 * day,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", " ", "5", "5x", "m", "h1", "1h30", "1,5h", "--1m", "-1d", "1 h m", "1..5d", "5\x00d", "٣d", strings.Repeat("1s ", 60)} {
		if got, err := ParseDuration(s); !errors.Is(err, errTime) {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error", s, got, err)
		}
	}
	for _, s := range []string{"106752d", "99999999999d", "99999999999999999999d", "2540400h 2540400h", "15250w 1w 1w", "200000d 1h"} {
		if got, err := ParseDuration(s); !errors.Is(err, ErrTooLong) {
			t.Errorf("ParseDuration(%q) = %v, %v, want ErrTooLong", s, got, err)
		}
	}
}

// FuzzParseDuration looks for a time that is not what it says, or that Go reads in another way.
func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"30m", "1h 30m", "3d", "0", "-1m", "106751d", "1.5 days", "9223372036854775807ns 1ns", "2540400h2540400h", "5x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseDuration(s)
		if len(s) > maxTime {
			if err == nil {
				t.Errorf("ParseDuration(%q) = %v, want an error", s, got)
			}
			return
		}
		if want, is := time.ParseDuration(s); is == nil && (err != nil || got != want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v as Go has it", s, got, err, want)
		}
		if err == nil && got < 0 && !strings.HasPrefix(strings.TrimSpace(s), "-") {
			t.Errorf("ParseDuration(%q) = %v", s, got)
		}
		if again, err2 := ParseDuration(got.String()); err == nil && (err2 != nil || again != got) {
			t.Errorf("ParseDuration(%q) = %v, which is read back as %v, %v", s, got, again, err2)
		}
	})
}

func TestParseClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 28, 17, 30, 20, 0, berlin) // the clocks go forward in the night
	for s, want := range map[string]string{
		"18:00": "2026-03-28T18:00:00+01:00", "17:30": "2026-03-29T17:30:00+02:00", "9:05": "2026-03-29T09:05:00+02:00",
		"6pm": "2026-03-28T18:00:00+01:00", "6:30 PM": "2026-03-28T18:30:00+01:00", "12 am": "2026-03-29T00:00:00+01:00",
		"12pm": "2026-03-29T12:00:00+02:00", "00:00": "2026-03-29T00:00:00+01:00", "6 p.m.": "2026-03-28T18:00:00+01:00",
	} {
		if got, ok := ParseClock(s, now); !ok || got.Format(time.RFC3339) != want {
			t.Errorf("ParseClock(%q) = %v, %t, want %s", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "18", "24:00", "18:60", "13pm", "0am", "18:5", "x", "-1:00", "18:00:00"} {
		if got, ok := ParseClock(s, now); ok {
			t.Errorf("ParseClock(%q) = %v, want none", s, got)
		}
	}
}
