package records

import (
	"cmp"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// WindowReason is why the system is unlocked for a system-wide command. It is for everyone
// to read, as every reason is, and so without the command line.
func WindowReason(r helper.Run) string {
	why := cmp.Or(r.Reason, helper.RunManager)
	return text.Shorten(why+": "+text.CommandLine(r.Named().Command, helper.MaxReason), helper.MaxReason)
}
