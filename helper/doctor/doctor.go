// Package doctor says whether a machine is ready to be locked, and if not, what is
// missing and how to mend it. [System.Gather] reads the facts, [Examine] judges them
// and touches nothing.
package doctor

import "slices"

// A Severity says what a finding means for the machine.
type Severity string

// The severities. A machine with a problem is not ready.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Problem Severity = "problem"
)

// A Finding is one thing that was looked at.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`
	// What was found and Why it matters begin lowercase and end without a full stop.
	What string `json:"what"`
	Why  string `json:"why"`
	// Mend are the shell commands that mend it, for root, in this order. One may have
	// several lines, and stops at the first of them that fails.
	Mend []string `json:"mend"`
	// Restart says that they move a directory which programs are using: they belong
	// into rescue mode, and the computer is restarted after them.
	Restart bool `json:"restart"`
}

// A Report is the answer of a doctor.
type Report struct {
	Ready    bool      `json:"ready"`
	Findings []Finding `json:"findings"`
	// Unseen is what could not be looked at, and why.
	Unseen []string `json:"unseen"`
}

// Examine judges the facts.
func Examine(f Facts) Report {
	var findings []Finding
	for _, check := range []func(Facts) []Finding{
		checkKernel,
		checkConfig,
		checkProtected,
		checkIslands,
		checkOptional,
		checkNested,
		checkSwap,
		checkFstab,
		checkSeal,
		checkRelock,
		checkPkexec,
		checkAgent,
		checkTray,
	} {
		findings = append(findings, check(f)...)
	}
	findings = slices.DeleteFunc(findings, func(found Finding) bool {
		return found.Severity == OK && slices.Contains(f.Blind, found.Check)
	})
	for i := range findings {
		if slices.ContainsFunc(findings[i].Mend, func(c string) bool { return !canBePasted(c) }) {
			findings[i].Mend = nil
			findings[i].Why += "; there are no commands for it: a name in them contains characters that can't be pasted"
		}
		switch {
		case len(findings[i].Mend) == 0:
			findings[i].Mend, findings[i].Restart = []string{}, false
		case f.Locked:
			findings[i].Mend = slices.Insert(findings[i].Mend, 0, "immutectl unlock")
		}
	}
	return Report{
		Ready:    !slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Problem }),
		Findings: findings,
		Unseen:   append([]string{}, f.Unseen...),
	}
}
