// Command immutectl locks and unlocks the protected paths of the system, and tells
// how locked they are. Reading needs no privileges; what changes something is asked
// of root's helper, through pkexec or, when root runs immutectl, directly.
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	// So that a write to a closed pipe returns EPIPE. Whoever is started from here
	// inherits it; pkexec and the helper do not mind.
	signal.Ignore(unix.SIGPIPE)
	os.Exit(newApp(os.Stdout, os.Stderr).run(context.Background(), os.Args[1:]))
}
