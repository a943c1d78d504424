package tray

import (
	"testing"

	"immutray.org/helper"
)

func TestBuildOnAMachineThatIsNotReady(t *testing.T) {
	refused := &Problem{Lines: []string{"cannot use /etc/immutray/config.toml: line 3: unknown key pahts; did you mean paths?"}}
	unprepared := &Problem{Lines: []string{`cannot protect "/etc": it is not a mount point`, "no subvolume of its own: /home"}}
	testBuild(t, []buildTest{
		{"configuration refused", Snapshot{Report: Report{Status: helper.Status{State: helper.Unknown}, Problem: refused}}, `
immutray-unknown | Not set up: cannot use /etc/immutray/config.toml: line 3: unknown key pahts; did you mean paths?
(Not set up)
(Cannot use /etc/immutray/config.toml: line 3: unknown key)
(pahts; did you mean paths?)
---
Lock now
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`},
		{"not prepared", Snapshot{Report: Report{Problem: unprepared, Status: helper.Status{State: helper.Unlocked, Paths: []helper.PathStatus{
			path("/", helper.NoFlag, helper.Writable), {Path: "/etc", State: helper.Unknown},
		}}}}, `
immutray-unknown | Not set up: cannot protect "/etc": it is not a mount point
(Not set up)
(Cannot protect "/etc": it is not a mount point.)
(No subvolume of its own: /home.)
(/: unlocked (mount writable))
(/etc: unknown)
---
Lock now
---
About Immutray
Quit
`},
		{"a problem does not hide that somebody unlocked", Snapshot{Report: Report{Problem: unprepared, Status: unlockedAt.Status}}, `
immutray-unlocked | Unlocked for 23 min by rrs
(Unlocked for 23 min by rrs)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"locked, with what should be writable", Snapshot{Report: Report{Problem: unprepared, Status: lockedAt.Status, Frozen: []string{"/home/bob needs a subvolume of its own"}}}, `
immutray-locked | Locked: /home/bob needs a subvolume of its own
(Locked)
(/home/bob needs a subvolume of its own.)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`},
		{"a problem does not hide that it is locked", Snapshot{Report: Report{Problem: unprepared, Status: lockedAt.Status}}, `
immutray-locked | Locked
(Locked)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`},
	})
}
