package records

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// The helper takes it as a reason: it is none that would be refused or escaped.
func TestReasonOfASystemWideCommand(t *testing.T) {
	for want, run := range map[string]helper.Run{
		"immutectl run: apt":                                  {Command: []string{"/usr/bin/apt", "upgrade"}},
		`new kernel: "a\nb"`:                                  {Command: []string{"a\nb", "--password", "x"}, Reason: "new kernel"},
		strings.Repeat("ö", helper.MaxReason-1) + "…":         {Command: []string{"a"}, Reason: strings.Repeat("ö", helper.MaxReason)},
		"x: " + strings.Repeat("y", helper.MaxReason-4) + "…": {Command: []string{strings.Repeat("y", 9000)}, Reason: "x"},
	} {
		got := WindowReason(run)
		if clean, err := helper.CleanReason(got); got != want || err != nil || clean != got {
			t.Errorf("the reason is %q, want %q; as one of a window %q, %v", got, want, clean, err)
		}
	}
}
