package tray

import (
	"testing"
	"time"
)

func TestSpoken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1 hour", 2 * time.Hour: "2 hours", 30 * time.Minute: "30 minutes", time.Minute: "1 minute", 90 * time.Minute: "1 h 30 min",
	} {
		if got := spoken(d); got != want {
			t.Errorf("spoken(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSentence(t *testing.T) {
	for s, want := range map[string]string{
		"": "", " \n": `\n.`, "cannot lock: busy": "Cannot lock: busy.", "Done!": "Done!", "ärgerlich": "Ärgerlich.", "a\nb": `A\nb.`,
	} {
		if got := sentence(s); got != want {
			t.Errorf("sentence(%q) = %q, want %q", s, got, want)
		}
	}
}
