package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A mount of the whole file system lets others write while a command runs, also if only a
// service has it: the command is not run, or runs and its answer names the mount. Mounts in a
// user's own namespace keep no command from running.
func TestMountsAroundInOtherNamespaces(t *testing.T) {
	f := newFixture(t)
	service := f.settle("", 0)
	user := f.settle("", unix.CLONE_NEWUSER)
	f.must(helper.Lock)
	if err := f.CloseTop(); err != nil {
		t.Fatal(err)
	}
	// Both made theirs before ours was closed; the user keeps his.
	begin := func(evenSo bool) (*Grant, *helper.Result) {
		return f.engine.Grant(context.Background(), helper.Run{ID: "run", User: "root", Command: []string{"true"}, EvenSo: evenSo})
	}
	grant, r := begin(false)
	want := fmt.Sprintf("%q in the mounts of sh (pid %d) is writable", f.Top, service.pid())
	if grant != nil || !strings.HasPrefix(r.Error, "cannot run the command: "+want+" and shows ") {
		t.Fatalf("granted %v, %s: %q; want it refused for %s", grant != nil, r.Outcome, r.Error, want)
	}
	f.expect("refused", helper.Locked)

	grant, r = begin(true)
	if grant == nil || !slices.ContainsFunc(r.Notices, func(n string) bool { return strings.HasPrefix(n, want) }) {
		t.Fatalf("even so: granted %v, %s: %q %q; want a notice of %s", grant != nil, r.Outcome, r.Error, r.Notices, want)
	}
	if !service.can("touch top/ROOTVOL/.probe") {
		t.Error("the service can't write: the test shows nothing")
	}
	f.giveBack(grant)

	service.stop()
	grant, r = begin(false)
	if grant == nil {
		t.Fatalf("a user's copy keeps the command from its work: %s: %s", r.Outcome, r.Error)
	}
	if !user.can("touch top/.probe") {
		t.Error("the user has no writable copy: the test shows nothing")
	}
	f.giveBack(grant)
}
