package helper

// An Outcome says how a request ended.
type Outcome string

// The outcomes, each with an exit code of its own.
const (
	Done           Outcome = "done"            // the state asked for is reached
	Failed         Outcome = "failed"          // a step failed; Result.Error says which
	Usage          Outcome = "usage"           // the arguments were refused
	Blocked        Outcome = "blocked"         // something is open for writing
	NotPrepared    Outcome = "not-prepared"    // a writable island would become read-only
	PackageManager Outcome = "package-manager" // a package manager is running
	ConfigRefused  Outcome = "config-refused"  // the configuration can't be trusted or read
	TooLong        Outcome = "too-long"        // the window asked for is longer than the configuration allows
)

// Exit codes of immutray-helper and immutectl. 126 and 127 belong to pkexec, and
// 128 and above to signals, so none of ours is ever there (pkexec(1)).
const (
	ExitDone           = 0
	ExitFailed         = 1
	ExitUsage          = 2
	ExitBlocked        = 3
	ExitNotPrepared    = 4
	ExitPackageManager = 5
	ExitConfigRefused  = 6
)

// ExitCode returns the exit code that stands for the outcome. An unknown outcome
// is a failure.
func (o Outcome) ExitCode() int {
	switch o {
	case Done:
		return ExitDone
	case Usage, TooLong:
		return ExitUsage
	case Blocked:
		return ExitBlocked
	case NotPrepared:
		return ExitNotPrepared
	case PackageManager:
		return ExitPackageManager
	case ConfigRefused:
		return ExitConfigRefused
	}
	return ExitFailed
}
