package helper

import (
	"time"

	"immutray.org/helper/config"
)

// How long things take at most, each derived from what it waits for.
const (
	// TurnPatience is how long a request waits for those that came before it.
	TurnPatience = time.Minute
	// workPatience is how long a request takes beside that and the time that it waits for
	// writers: looking for them, the disk, PID 1.
	workPatience = 2 * time.Minute

	// UnitLimit is how long a run of a unit may take: within it a request that it has begun
	// comes to its end, even with the longest drain time that a configuration allows.
	UnitLimit = TurnPatience + config.MaxDrain + workPatience + 2*time.Minute

	// UnitSilence is TimeoutStartSec= of the units: how long their process may say nothing,
	// because it is stopped, until PID 1 ends it. Half a minute later it is tried again.
	UnitSilence = 30 * time.Second

	// BootDrain is the most that the seal waits for writers: everything waits for it, and
	// nobody has asked for anything before.
	BootDrain = 30 * time.Second
	// BootLimit is TimeoutStartSec= of the boot's units.
	BootLimit = BootDrain + workPatience + 30*time.Second
)

// RequestLimit is how long one request may take once it has begun.
func RequestLimit(drain time.Duration) time.Duration { return TurnPatience + drain + workPatience }

// DeskLimit is how long whoever hands a request to a unit waits for the answer: for the
// request that the unit is at work on, and for his own.
func DeskLimit(drain time.Duration) time.Duration { return 2 * RequestLimit(drain) }

// clientLimit is how long a client waits for a helper that has begun, whatever the
// configuration: longer than that waits for its unit.
const clientLimit = 2*(TurnPatience+config.MaxDrain+workPatience) + time.Minute
