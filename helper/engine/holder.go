package engine

import (
	"os"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper/statedir"
	"immutray.org/helper/stopped"
)

// stoppedEvery is how often a process that waits for its turn checks whether the one that
// has it is stopped.
const stoppedEvery = time.Second

// endStopped ends the process that has the turn, and the first in line, if they are stopped:
// whatever step they were in, the next request completes the work.
func (l line) endStopped(turn *statedir.Lock) {
	if pid := turn.Holder(); pid != 0 {
		stopped.End(pid)
	}
	// The name says whose file it is (line.enter).
	if words := strings.Split(l.first(), "."); len(words) == 4 {
		if pid, err := strconv.Atoi(words[2]); err == nil && pid != os.Getpid() {
			stopped.End(pid)
		}
	}
}
