package journal

// Message ids of the records of a change; "journalctl MESSAGE_ID=…" finds them.
const (
	// Intent marks the record made before anything is changed. One without an outcome is
	// the trace of a helper that was killed, or of a machine that lost its power.
	Intent = "6d3b0c7e1f5a4c0c9e3a2f7b8d41c960"
	// Outcome marks the record of how a request ended.
	Outcome = "b1f2a94d7c3e4e58a6f0d5c29b7e8031"
)

// Fields of both records.
const (
	Verb    = "IMMUTRAY_VERB"    // what was asked for: lock, lock-force, unlock, seal, unseal, run
	Request = "IMMUTRAY_REQUEST" // the same in the intent and its outcome, and in no other
	Cause   = "IMMUTRAY_CAUSE"   // what made the request: a [immutray.org/helper.Cause]
	UID     = "IMMUTRAY_UID"     // who asked
	User    = "IMMUTRAY_USER"    // his name
	Reason  = "IMMUTRAY_REASON"  // why, in his words; missing when he did not say
	Paths   = "IMMUTRAY_PATHS"   // the protected paths, quoted
	Before  = "IMMUTRAY_BEFORE"  // the layers of every path before the change
	Command = "IMMUTRAY_COMMAND" // of "immutectl run": the program, or the command line cut after 500 characters; else missing
	Config  = "IMMUTRAY_CONFIG"  // the configuration that root named instead of the machine's; else missing
	// ConfigError is why the configuration is refused, and what was last good is used; else
	// missing.
	ConfigError = "IMMUTRAY_CONFIG_ERROR"
	// SinceBoot is when, in microseconds of CLOCK_BOOTTIME: time asleep counts, and
	// nobody can set it.
	SinceBoot = "IMMUTRAY_BOOTTIME_USEC"
)

// Fields of the outcome alone. Those of the window are missing when there was none. They
// are of the window that is open afterwards, or else of the one that has just ended.
const (
	OutcomeWord  = "IMMUTRAY_OUTCOME"       // a [immutray.org/helper.Outcome]
	State        = "IMMUTRAY_STATE"         // the system's afterwards: locked, unlocked, partly-locked, unknown
	After        = "IMMUTRAY_AFTER"         // the layers of every path afterwards
	Duration     = "IMMUTRAY_DURATION_USEC" // how long the change took, in microseconds
	WindowSince  = "IMMUTRAY_WINDOW_SINCE"  // RFC 3339, as is the next
	WindowUntil  = "IMMUTRAY_UNTIL"         // when the window is to end; missing when somebody has to end it
	WindowUID    = "IMMUTRAY_WINDOW_UID"    // who opened it
	WindowUser   = "IMMUTRAY_WINDOW_USER"
	WindowReason = "IMMUTRAY_WINDOW_REASON" // the newest, if it was extended
)
