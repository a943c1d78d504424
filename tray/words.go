package tray

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// This file holds the words of the tray. The rules are:
//
//   - Names from outside (paths, programs, users, errors) go through
//     text.Name: one line, no control characters, not endlessly long.
//   - The states have one word each, the same as on the command line.

// Bounds of what is shown of names from outside.
const (
	maxName = 40
	maxText = 400
)

// headline is the menu's first line.
func headline(s snapshot) string {
	switch s.Asked {
	case helper.Unlock, helper.LockForce:
		return "Waiting for the password…"
	case helper.Lock:
		return "Locking…"
	}
	switch s.Report.face() {
	case locked:
		return "Locked"
	case partlyLocked:
		return "Partly locked"
	case unlocked:
		return unlockedLine(s.Report.Status.Window, s.Now)
	case notReady:
		return "Not ready"
	}
	return "Unknown"
}

// unlockedLine says "Unlocked for 23 min by rrs, locks at 14:30".
func unlockedLine(w *helper.Window, now time.Time) string {
	if w == nil {
		return "Unlocked"
	}
	user := text.Name(w.User, maxName)
	if user == "" {
		user = fmt.Sprintf("user %d", w.UID)
	}
	// A clock set back since must not make it "for -3 min".
	line := fmt.Sprintf("Unlocked for %s by %s", text.Duration(max(0, now.Sub(w.Since))), user)
	switch {
	case w.Until == nil:
	case w.Until.After(now):
		line += ", locks at " + text.TimeOfDay(*w.Until, now)
	default:
		line += ", should have locked at " + text.TimeOfDay(*w.Until, now)
	}
	return line
}

// tooltip is the headline, and the reason where there is one. Hosts show it in one
// line, so it is not the whole reason.
func tooltip(s snapshot) string {
	line := headline(s)
	if s.Asked != "" {
		return line
	}
	if s.Report.Status.Overdue == nil && s.Report.face() == partlyLocked {
		for _, p := range s.Report.Status.Paths {
			if p.State != helper.Locked {
				return line + ": " + pathAndState(p)
			}
		}
	}
	if reasons := reasons(s.Report); len(reasons) > 0 {
		return line + ": " + text.Name(reasons[0], 2*labelWidth)
	}
	return line
}

// reasons says who can write all the same, or why the system is not set up, not locked at
// the end of a window, or its state unknown.
func reasons(r report) []string {
	switch r.face() {
	case locked:
		if runs := r.Status.Runs; len(runs) > 0 {
			return []string{"only " + runNames(runs) + " can write, until it ends"}
		}
		return r.Frozen
	case unlocked, partlyLocked:
		if o := r.Status.Overdue; o != nil {
			return []string{waitsFor(*o)}
		}
		if runs := r.Status.Runs; len(runs) > 0 && runs[0].SystemWide {
			return []string{"locks when " + runNames(runs[:1]) + " has ended"}
		}
	case notReady:
		return r.NotReady
	case unknown:
		var errs []string
		for _, p := range r.Status.Paths {
			if p.Error != "" {
				errs = append(errs, p.Error)
			}
		}
		return errs
	}
	return nil
}

// runNames names commands that run.
func runNames(runs []helper.Run) string {
	name := text.Name(runs[0].Program(), maxName)
	if more := len(runs) - 1; more > 0 {
		name += " (" + andMore(more) + ")"
	}
	return name
}

func why(s snapshot) ([]string, int) {
	var lines []string
	given := slices.Clone(reasons(s.Report))
	if bad := s.Report.Status.ConfigError; bad != "" {
		given = append(given, bad+helper.UsedInstead)
	}
	for _, reason := range given {
		lines = append(lines, wrap(sentence(reason))...)
	}
	return lines, 0
}

func pathLines(s snapshot) ([]string, int) {
	status := s.Report.Status
	lines := make([]string, len(status.Paths))
	for i, p := range status.Paths {
		lines[i] = pathAndState(p)
		if status.Granted(p) {
			lines[i] = text.Name(p.Path, maxName) + ": " + stateWord(helper.Locked)
		}
		if layers := layerWords(p); layers != "" {
			lines[i] += " (" + layers + ")"
		}
	}
	return lines, 0
}

func pathAndState(p helper.PathStatus) string {
	return text.Name(p.Path, maxName) + ": " + stateWord(p.State)
}

func stateWord(s helper.State) string {
	switch s {
	case helper.Locked:
		return "locked"
	case helper.Unlocked:
		return "unlocked"
	case helper.OpenMount:
		return "open mount"
	case helper.MountOnly:
		return "mount only"
	}
	return "unknown"
}

// layerWords says what each layer is; "" when none could be read.
func layerWords(p helper.PathStatus) string {
	var words []string
	add := func(layer string, f helper.Flag) {
		switch f {
		case helper.ReadOnly:
			words = append(words, layer+" read-only")
		case helper.Writable:
			words = append(words, layer+" writable")
		}
	}
	add("property", p.Property)
	add("mount", p.Mount)
	if p.OnTop != "" {
		words = append(words, "hidden by another mount")
	}
	// The superblock is shown only where it changes what the two say.
	if p.Superblock == helper.ReadOnly && p.Mount == helper.Writable {
		add("file system", p.Superblock)
	}
	return strings.Join(words, ", ")
}

func writerLine(w helper.Writer) string {
	path := text.Name(w.Path, labelWidth)
	switch w.Kind {
	case helper.WriterLoop:
		return text.Name(w.Device, maxName) + " is backed by " + path
	case helper.WriterSwap:
		return "swap file " + path
	case helper.WriterUnknown:
		return fmt.Sprintf("%s (%d, %s): cannot be inspected", writerName(w), w.PID, text.Name(w.User, maxName))
	}
	return fmt.Sprintf("%s (%d): %s", writerName(w), w.PID, path)
}

func writerName(w helper.Writer) string {
	switch {
	case w.Kind == helper.WriterLoop:
		return text.Name(w.Device, maxName)
	case w.Kind == helper.WriterSwap:
		return "swap"
	case w.Program == "":
		return "process"
	}
	return text.Name(w.Program, maxName)
}

func andMore(n int) string { return fmt.Sprintf("and %d more", n) }

// sentence makes a sentence of words from outside.
func sentence(s string) string { return text.Sentence(text.Name(s, maxText)) }

// wrap breaks a text into lines for a menu, between words; a longer word stays whole.
func wrap(s string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text.Name(s, maxText)) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= labelWidth:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
