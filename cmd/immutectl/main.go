// Command immutectl locks and unlocks the protected paths of the system, and shows
// how locked they are. Reading needs no privileges. For a change it starts root's helper,
// through pkexec or, when root runs immutectl, directly.
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	// So that a write to a closed pipe returns EPIPE. Child processes inherit
	// it; pkexec and the helper do not mind.
	signal.Ignore(unix.SIGPIPE)
	os.Exit(newApp(os.Stdout, os.Stderr).run(context.Background(), os.Args[1:]))
}
