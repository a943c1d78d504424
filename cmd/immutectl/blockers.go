package main

// The words for what keeps the system from being locked; words.go has their rules.

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// waitingFor names what keeps the system from being locked.
func waitingFor(busy *helper.Busy, writers []helper.Writer, unlisted int) string {
	switch {
	case busy != nil:
		return "waiting for " + text.Quote(busy.Name()) + ", which " + busy.Doing()
	case len(writers) == 0:
		return "waiting for an unknown program"
	}
	w := writers[0]
	words := fmt.Sprintf("waiting for %s (pid %d), which is writing to %s", unnamed(w.Program), w.PID, text.Quote(w.Path))
	switch w.Kind {
	case helper.WriterLoop:
		words = "waiting for loop device " + cell(w.Device) + " on " + text.Quote(w.Path)
	case helper.WriterSwap:
		words = "waiting for swap file " + text.Quote(w.Path)
	case helper.WriterUnknown:
		words = fmt.Sprintf("waiting for %s (pid %d), which cannot be inspected and may be writing", unnamed(w.Program), w.PID)
	}
	if more := len(writers) - 1 + unlisted; more > 0 {
		words += fmt.Sprintf(" and %d more", more)
	}
	return words
}

func unnamed(program string) string {
	if program == "" {
		return "a program"
	}
	return text.Quote(program)
}

// overdueWords says why the system is not locked although its window is over.
func overdueWords(o *helper.Overdue) string {
	if o.Outcome == helper.Blocked || o.Busy != nil {
		return "The system is not locked yet: " + waitingFor(o.Busy, o.Writers, o.MoreWriters) + "."
	}
	return "The system could not be locked: " + o.Error + "."
}

// writersTable has a line per writer, and says how many others there are. A program's name
// and unit may be missing; what the kernel itself holds has neither.
func writersTable(writers []helper.Writer, unlisted int) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PID\tPROGRAM\tUSER\tUNIT\tPATH")
	for _, w := range writers {
		pid, user, path := "-", w.User, text.Quote(w.Path)
		if w.PID != 0 {
			pid = strconv.Itoa(w.PID)
			if user == "" {
				user = strconv.FormatUint(uint64(w.UID), 10)
			}
		}
		program := cell(w.Program)
		switch w.Kind {
		case helper.WriterMapping:
			path += " (memory map)"
		case helper.WriterLoop:
			program = "loop device " + cell(w.Device)
		case helper.WriterSwap:
			program = "swap"
		case helper.WriterUnknown:
			path = "(cannot be inspected)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", pid, program, cell(user), cell(w.Unit), path)
	}
	t.Flush()
	if unlisted > 0 {
		fmt.Fprintf(&b, "and %d more\n", unlisted)
	}
	return b.String()
}

func cell(name string) string {
	if name == "" {
		return "-"
	}
	return text.Quote(name)
}
