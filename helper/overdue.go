package helper

// An Overdue is the lock at the end of a window that could not be done yet, and is tried
// again and again. It says how the last attempt ended.
type Overdue struct {
	Outcome Outcome `json:"outcome"`
	// Error is one line without a full stop.
	Error string `json:"error"`
	// Writers is who is in the way, for Blocked; as in a Result it may be empty.
	Writers []Writer `json:"writers,omitempty"`
	// MoreWriters is how many others there are that are not listed.
	MoreWriters int `json:"more_writers,omitempty"`
	// Busy is what a lock would disturb, for PackageManager.
	Busy *Busy `json:"holder,omitempty"`
}
