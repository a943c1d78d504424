// This file has the words that immutectl prints; the help texts are with their commands.
// The rules are:
//
//   - Only the answer goes to standard output.
//   - Everything else goes to standard error, each line with "immutectl:" and its kind:
//     "error:" for why it did not work, "notice:" for what else one should know, "hint:"
//     for what to do. Errors and notices begin in lower case and end without a full stop;
//     hints are whole sentences. The one exception is a cancelled password prompt: the
//     person knows, so it is a single word.
//   - A state has the same name here as in the documentation.
//   - Everything that is printed about the state was read from the kernel. What could not
//     be read is called unknown.
//   - Names of files, programs and users pass through quote, whole messages through safe:
//     anyone may have chosen them.
//   - Colour only repeats what the words say.
package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/bystanders"
	"immutray.org/helper/doctor"
	"immutray.org/helper/text"
)

func (a *app) printError(f *failure) {
	switch {
	case f.err == errCancelled:
		fmt.Fprintln(a.stderr, "immutectl: cancelled")
	case f.err != nil:
		a.printMessage("error:", a.errorColor.bad, f.err.Error())
	}
	io.WriteString(a.stderr, f.detail)
	for _, hint := range f.hints {
		a.printMessage("hint:", plain, hint)
	}
}

func (a *app) printNotice(notice string) { a.printMessage("notice:", plain, notice) }

func plain(word string) string { return word }

// printMessage prints a message in one line, which scripts rely on, and on a terminal in lines of
// at most 80 characters.
func (a *app) printMessage(kind string, color func(string) string, message string) {
	const name = "immutectl: "
	message = text.Visible(message)
	if width := a.errorWidth(); width > 0 {
		message = wrap(message, len(name+kind+" "), min(width, 80))
	}
	fmt.Fprintf(a.stderr, "%s%s %s\n", name, color(kind), message)
}

// systemWord is the system's state as a person reads it.
func systemWord(s helper.State) string {
	switch s {
	case helper.Locked:
		return "Locked"
	case helper.PartlyLocked:
		return "Partly locked"
	case helper.Unlocked:
		return "Unlocked"
	}
	return "Unknown"
}

// pathWord is a path's state as a person reads it.
func pathWord(s helper.State) string {
	switch s {
	case helper.Locked, helper.Unlocked:
		return string(s)
	case helper.OpenMount:
		return "open mount"
	case helper.MountOnly:
		return "mount only"
	}
	return "unknown"
}

// statusText is the whole of "immutectl status".
func statusText(s helper.Status, now time.Time, color palette, clock text.Clock) string {
	var b strings.Builder
	b.WriteString("--- System Immutability Status ---\n")
	for _, p := range s.Paths {
		fmt.Fprintf(&b, "Path: %s\n", text.Quote(p.Path))
		fmt.Fprintf(&b, "  - VFS Layer (Mount): %s\n", flagWord(p.Mount))
		fmt.Fprintf(&b, "  - Btrfs Property:    %s\n", propertyWord(p))
		fmt.Fprintf(&b, "  - Effective State:   %s\n", effectiveState(p.State, color))
		for _, notice := range pathNotices(p, s.Granted(p)) {
			fmt.Fprintf(&b, "  %s %s\n", color.warning("NOTICE:"), text.Visible(notice))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "System: %s%s\n", systemWord(s.State), windowWords(s, now, clock))
	if s.ConfigError != "" {
		fmt.Fprintf(&b, "%s %s\n", color.warning("NOTICE:"), text.Visible(configWords(s.ConfigError)))
	}
	if s.Overdue != nil {
		fmt.Fprintf(&b, "%s %s\n", color.warning("NOTICE:"), text.Visible(overdueWords(s.Overdue)))
	}
	if behind := bystanders.Words(s.StillReadOnly); behind != "" {
		fmt.Fprintf(&b, "%s %s\n", color.warning("NOTICE:"), text.Visible(behind))
	}
	for _, r := range s.Runs {
		fmt.Fprintf(&b, "Running: %s\n", runWords(r, clock))
	}
	return b.String()
}

// configWords says why the configuration is refused, and what is used instead.
func configWords(why string) string {
	return strings.ToUpper(why[:1]) + why[1:] + helper.UsedInstead + "."
}

func flagWord(f helper.Flag) string {
	if f == "" {
		return "unknown"
	}
	return text.Visible(string(f))
}

func propertyWord(p helper.PathStatus) string {
	switch {
	case p.Property == helper.ReadOnly:
		return "ro=true"
	case p.Property == helper.Writable:
		return "ro=false"
	case p.Property == helper.NoFlag && p.Filesystem != "":
		return "none (" + text.Visible(p.Filesystem) + ")"
	}
	return flagWord(p.Property)
}

// effectiveState is the word of the classic script, where it had one.
func effectiveState(s helper.State, color palette) string {
	switch s {
	case helper.Locked:
		return color.good("LOCKED (RO)")
	case helper.Unlocked:
		return color.bad("UNLOCKED (RW)")
	}
	return color.warning(strings.ToUpper(pathWord(s)))
}

// pathNotices explains the layers of a path where that is needed, and what to do. lent
// means that a command of "immutectl run" may write there.
func pathNotices(p helper.PathStatus, lent bool) []string {
	var notices []string
	onBtrfs := p.Property != helper.NoFlag
	switch {
	case p.State == helper.Unknown && p.Error == "":
		notices = append(notices, "This path can't be read.")
	case p.State == helper.Unknown:
		notices = append(notices, "This path can't be read: "+text.Because(errors.New(p.Error)).Error()+".")
	case p.State == helper.OpenMount && p.OnTop != "":
		notices = append(notices, "The file system that is mounted over it is writable. "+runLock)
	case p.State == helper.OpenMount && p.Superblock != helper.ReadOnly:
		notices = append(notices, "No program can open a file here for writing any more, but programs that already have one open can still write. "+runLock)
	case p.State == helper.MountOnly && onBtrfs && lent:
		notices = append(notices, `The property is cleared for a command of "immutectl run", and is set again when the command ends.`)
	case p.State == helper.MountOnly && onBtrfs:
		notices = append(notices, `The property is not set: one "mount -o remount,rw" makes this path writable. `+runLock)
	case p.State == helper.MountOnly:
		notices = append(notices, `The mount flag is not set: one "mount -o remount,rw" makes this path writable. `+runLock)
	}
	if p.OnTop != "" {
		notices = append(notices, "Another mount ("+p.OnTop+") hides the subvolume. The property shown is that of the subvolume, the mount flag that of the mount on top.")
	}
	if p.Superblock == helper.ReadOnly {
		notice := "The whole file system is read-only, in every mount of it."
		if onBtrfs {
			notice = `The whole file system is read-only, including /home if that is on it. "immutectl lock" or "immutectl unlock" makes the rest of it writable again.`
		}
		notices = append(notices, notice)
	}
	return notices
}

const runLock = `Run "immutectl lock".`

// windowWords says since when, by whom, why and until when the system is not locked. The
// state may have changed since the unlock.
func windowWords(s helper.Status, now time.Time, clock text.Clock) string {
	w := s.Window
	if w == nil {
		return ""
	}
	words := " since "
	if s.State != helper.Unlocked {
		words = ", unlocked at "
	}
	words += clock.Minute(w.Since) + byWhom(w)
	switch {
	case w.Until == nil:
	case w.Until.After(now):
		words += ", locks at " + clock.Minute(*w.Until)
	default:
		words += ", should have locked at " + clock.Minute(*w.Until)
	}
	return words
}

// lockWords says when the system locks again, and how to lock it. What was said of the end before
// is "" if there was no window.
func lockWords(w *helper.Window, before string, clock text.Clock) string {
	if w == nil || w.Until == nil {
		if before == "" || before == "without an end" {
			return `Lock again with "immutectl lock".`
		}
		return "Does not lock by itself now, was to lock at " + before + `. Lock again with "immutectl lock".`
	}
	now := clock.Minute(*w.Until)
	switch before {
	case "":
		return "Locks at " + now + `, or with "immutectl lock".`
	case now:
		return "Still locks at " + now + `, or with "immutectl lock".`
	}
	return "Now locks at " + now + ", was " + before + `. Lock earlier with "immutectl lock".`
}

func byWhom(w *helper.Window) string {
	words := " by user " + strconv.FormatUint(uint64(w.UID), 10)
	if w.User != "" {
		words = " by " + text.Quote(w.User)
	}
	if w.Reason != "" {
		words += " (" + text.Visible(w.Reason) + ")"
	}
	return words
}

// watchLine is one line of "immutectl watch", without the time. The paths are in it
// when they are not all as the system is.
func watchLine(s helper.Status) string {
	line := systemWord(s.State)
	if s.Window != nil && s.State != helper.Unlocked {
		line += ", unlocked"
	}
	if s.Window != nil {
		line += byWhom(s.Window)
	}
	if uniform(s) {
		return line + exceptRuns(s)
	}
	paths := make([]string, len(s.Paths))
	for i, p := range s.Paths {
		paths[i] = text.Quote(p.Path) + " " + pathWord(p.State)
	}
	return line + ": " + strings.Join(paths, ", ")
}

// uniform reports whether every path is in the state that the system is in, for
// everything but the commands of "immutectl run".
func uniform(s helper.Status) bool {
	for _, p := range s.Paths {
		if p.State != s.State && !s.Granted(p) {
			return false
		}
	}
	return true
}

// stateText is the state after a request: one sentence if that says everything, otherwise
// a line per path.
func stateText(s helper.Status) string {
	if uniform(s) && s.State == helper.Locked {
		return fmt.Sprintf("Locked: %s read-only.\n", pathsAre(s.Paths))
	}
	if uniform(s) && s.State == helper.Unlocked {
		return fmt.Sprintf("Unlocked: %s writable.\n", pathsAre(s.Paths))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", systemWord(s.State))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, p := range s.Paths {
		fmt.Fprintf(t, "  %s\t%s\n", text.Quote(p.Path), pathWord(p.State))
	}
	t.Flush()
	return b.String()
}

// pathsAre is "/ is", "/ and /etc are" and so on.
func pathsAre(paths []helper.PathStatus) string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p.Path
	}
	if len(names) == 1 {
		return text.Quote(names[0]) + " is"
	}
	return enumerate(names) + " are"
}

// enumerate joins names as in "/, /etc and /usr".
func enumerate(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = text.Quote(name)
	}
	return text.List(quoted)
}

// doctorText is a line per finding and what mends it, and at last whether the computer
// is ready.
func doctorText(r doctor.Report, color palette) string {
	var b strings.Builder
	count := map[doctor.Severity]int{}
	for _, f := range r.Findings {
		count[f.Severity]++
		fmt.Fprintf(&b, "%s  %s", severityWord(f.Severity, color), text.Visible(f.What))
		if f.Severity != doctor.OK {
			b.WriteString(": " + text.Visible(f.Why))
		}
		b.WriteString("\n")
		for _, command := range f.Mend {
			for line := range strings.SplitSeq(command, "\n") {
				fmt.Fprintf(&b, "           %s\n", text.Visible(line))
			}
		}
	}
	verdict := color.good("Ready")
	if !r.Ready {
		verdict = color.bad("Not ready")
	}
	var counts []string
	for _, s := range []doctor.Severity{doctor.Problem, doctor.Warning} {
		if n := count[s]; n == 1 {
			counts = append(counts, "1 "+string(s))
		} else if n > 1 {
			counts = append(counts, fmt.Sprintf("%d %ss", n, s))
		}
	}
	if len(counts) > 0 {
		verdict += ": " + strings.Join(counts, ", ")
	}
	return b.String() + "\n" + verdict + ".\n"
}

// severityWord is as wide as the widest of them.
func severityWord(s doctor.Severity, color palette) string {
	word := fmt.Sprintf("%-7s", s)
	switch s {
	case doctor.Problem:
		return color.bad(word)
	case doctor.Warning:
		return color.warning(word)
	}
	return color.good(word)
}
