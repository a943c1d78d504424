package helper

import "time"

// MaxAnswer is how many bytes of the helper's answer a caller reads. A result that package
// bound has cut has a fraction of it.
const MaxAnswer = 4 << 20

// The shortest and the longest window that can be asked for.
const (
	ShortestWindow = time.Second
	LongestWindow  = 30 * 24 * time.Hour // except for one without an end
)

// MaxDrain is the longest time that a configuration can have a lock wait for writers. It
// bounds how long a click on the padlock may go without an answer.
const MaxDrain = 10 * time.Minute

// How long things take at most, each derived from what it waits for.
const (
	// TurnTimeout is how long a request waits for those that came before it.
	TurnTimeout = time.Minute
	// workTimeout is how long a request takes beside that and the time that it waits for
	// writers: looking for them, the disk, PID 1.
	workTimeout = 2 * time.Minute

	// UnitTimeout is how long a run of a unit may take: within it a request that it has begun
	// comes to its end, even with the longest drain time that a configuration allows.
	UnitTimeout = TurnTimeout + MaxDrain + workTimeout + 2*time.Minute

	// UnitSilence is TimeoutStartSec= of the units: how long their process may say nothing,
	// because it is stopped, until PID 1 ends it.
	UnitSilence = 30 * time.Second

	// BootDrain is how long the seal waits for writers at most: the boot waits for the seal.
	BootDrain = 30 * time.Second
	// BootTimeout is TimeoutStartSec= of the boot's units.
	BootTimeout = BootDrain + workTimeout + 30*time.Second
)

// RequestTimeout is how long one request may take once it has begun.
func RequestTimeout(drain time.Duration) time.Duration { return TurnTimeout + drain + workTimeout }

// AnswerTimeout is how long the helper waits for the answer of the unit that it has handed a
// request to: the unit may have begun another one.
func AnswerTimeout(drain time.Duration) time.Duration { return 2 * RequestTimeout(drain) }

// ClientTimeout is how long a client waits for a helper that has begun, whatever the
// configuration: longer than the helper waits for its unit.
const ClientTimeout = 2*(TurnTimeout+MaxDrain+workTimeout) + time.Minute
