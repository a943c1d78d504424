package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// A palette colours words, or leaves them as they are.
type palette struct{ on bool }

func (p palette) good(s string) string    { return p.paint("32", s) }   // green
func (p palette) bad(s string) string     { return p.paint("1;31", s) } // bold red
func (p palette) warning(s string) string { return p.paint("33", s) }   // yellow

func (p palette) paint(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// paletteFor colours what goes to a terminal that can show it, unless the user asked
// for no colours (https://no-color.org).
func paletteFor(f *os.File, getenv func(string) string) palette {
	term := getenv("TERM")
	if getenv("NO_COLOR") != "" || term == "" || term == "dumb" {
		return palette{}
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return palette{on: err == nil}
}

// terminalWidth returns how many characters a line of f has, 0 when f is no terminal, or
// one that can't go back in its line.
func terminalWidth(f *os.File, getenv func(string) string) int {
	if term := getenv("TERM"); term == "" || term == "dumb" {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return 80 // a terminal that does not know
	}
	return int(size.Col)
}
