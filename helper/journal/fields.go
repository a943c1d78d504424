package journal

// Message ids of the records of a change; "journalctl MESSAGE_ID=…" finds them.
const (
	// Intent marks the record that is made before anything is changed. If it has no outcome, the
	// helper was killed, or the machine lost its power.
	Intent = "6d3b0c7e1f5a4c0c9e3a2f7b8d41c960"
	// Outcome marks the record of how a request ended.
	Outcome = "b1f2a94d7c3e4e58a6f0d5c29b7e8031"
)

// Fields of both records.
const (
	Verb    = "IMMUTRAY_VERB"    // the verb of the request: lock, lock-force, unlock, seal, unseal, run
	Request = "IMMUTRAY_REQUEST" // the same in the intent and its outcome, and in no other
	Cause   = "IMMUTRAY_CAUSE"   // what made the request: a [immutray.org/helper.Cause]
	UID     = "IMMUTRAY_UID"     // the user who asked
	User    = "IMMUTRAY_USER"    // the name of that user
	Reason  = "IMMUTRAY_REASON"  // the reason that the user gave; missing if none
	Paths   = "IMMUTRAY_PATHS"   // the protected paths, quoted
	Before  = "IMMUTRAY_BEFORE"  // the layers of every path before the change
	Command = "IMMUTRAY_COMMAND" // of "immutectl run": the program, or the command line cut after 500 characters; else missing
	Config  = "IMMUTRAY_CONFIG"  // the configuration that root named instead of the machine's; else missing
	// ConfigError is why the configuration is refused; missing if it is not.
	ConfigError = "IMMUTRAY_CONFIG_ERROR"
	// SinceBoot is when, in microseconds of CLOCK_BOOTTIME, which counts the time asleep and
	// can't be set.
	SinceBoot = "IMMUTRAY_BOOTTIME_USEC"
)

// Fields of the outcome alone. Those of the window are about the one that is open afterwards, or
// else the one that has just ended. They are missing if there was none.
const (
	OutcomeWord  = "IMMUTRAY_OUTCOME"       // a [immutray.org/helper.Outcome]
	State        = "IMMUTRAY_STATE"         // the state of the system afterwards: locked, unlocked, partly-locked, unknown
	After        = "IMMUTRAY_AFTER"         // the layers of every path afterwards
	Duration     = "IMMUTRAY_DURATION_USEC" // how long the change took, in microseconds
	WindowSince  = "IMMUTRAY_WINDOW_SINCE"  // RFC 3339, as is the next
	WindowUntil  = "IMMUTRAY_UNTIL"         // when the window ends; missing if it lasts until someone locks
	WindowUID    = "IMMUTRAY_WINDOW_UID"    // who opened it
	WindowUser   = "IMMUTRAY_WINDOW_USER"
	WindowReason = "IMMUTRAY_WINDOW_REASON" // the newest reason, if the window was extended
)

// HistoryFields returns the fields that the history is made of.
func HistoryFields() []string {
	return []string{
		Verb, Config, Request, Cause, UID, User, Reason, Command, SinceBoot, OutcomeWord, State,
		WindowSince, WindowUntil, WindowUID, WindowUser, WindowReason,
	}
}
