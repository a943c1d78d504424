package helper

import "time"

// Handshake is the first line that the helper prints. A caller that does not read
// it knows that pkexec never started the helper, whatever the exit code says.
const Handshake = "immutray-helper 1"

// A Result is the helper's answer, the last line that it prints, as JSON.
// It reports what is, read back from the kernel, not what was asked for.
type Result struct {
	Request Request `json:"request"`
	Outcome Outcome `json:"outcome"`
	// Error is one line without a full stop; empty when the outcome is Done.
	Error string `json:"error,omitempty"`
	// Limit is the name of the errno, such as EDQUOT, if a limit of the system was reached: of
	// disk space, of a quota, of open files.
	Limit string `json:"limit,omitempty"`
	// Unfit says, for ConfigRefused, that this machine does not have the paths that the
	// configuration names. It is valid, or the default.
	Unfit bool `json:"unfit,omitempty"`
	// Notices are what the person should know although the request did not fail.
	Notices  []string  `json:"notices,omitempty"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// Before and Status are the state at the start and at the end.
	Before *Status `json:"before,omitempty"`
	Status *Status `json:"status,omitempty"`
	// Writers are the writers that were found, for Blocked. There may be none: the kernel says
	// busy, but not why (a file in flight in a socket, another PID namespace).
	Writers []Writer `json:"writers,omitempty"`
	// MoreWriters is how many others there are that are not listed.
	MoreWriters int `json:"more_writers,omitempty"`
	// Islands is what would become read-only, for NotPrepared.
	Islands []string `json:"islands,omitempty"`
	// Backup is what reads a protected path, for an unlock that failed because of it.
	Backup *Backup `json:"backup,omitempty"`
	// Busy is what a lock would disturb, for PackageManager.
	Busy *Busy `json:"holder,omitempty"`
}

// A Backup is a process that reads a subvolume with "btrfs send". Until it ends the subvolume
// can't be made writable.
type Backup struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
}

// Err returns nil when the request was done, else a *ResultError.
func (r *Result) Err() error {
	if r.Outcome == Done {
		return nil
	}
	return &ResultError{Result: r}
}

// A ResultError is a Result whose outcome is not Done.
type ResultError struct{ Result *Result }

func (e *ResultError) Error() string {
	if e.Result.Error == "" {
		return "cannot " + string(e.Result.Request.Verb) + ": " + string(e.Result.Outcome)
	}
	return e.Result.Error
}
