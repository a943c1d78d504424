package helper

// An Overdue is a lock at the end of a window that has failed, and is repeated until it succeeds.
// It says how the last attempt ended.
type Overdue struct {
	Outcome Outcome `json:"outcome"`
	// Error is one line without a full stop.
	Error string `json:"error"`
	// Writers are for Blocked; as in a Result they may be missing.
	Writers []Writer `json:"writers,omitempty"`
	// MoreWriters is how many others there are that are not listed.
	MoreWriters int `json:"more_writers,omitempty"`
	// Busy is what a lock would disturb, for PackageManager.
	Busy *Busy `json:"holder,omitempty"`
}
