package engine

import (
	"os/exec"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// crowd has hundreds of processes, each with as much as a user can have that is to be looked
// into: descriptors, mappings, and a user and mount namespace of its own.
const crowd = `
use POSIX;
my $parent = $$;
open(my $null, "<", "/dev/null") or die;
for (1 .. 50000) { last unless defined POSIX::dup(fileno $null) }
# MAP_PRIVATE | MAP_ANONYMOUS, to read and not to read by turns: nothing is merged.
for (1 .. 5000) { syscall(9, 0, 4096, $_ % 2, 0x22, -1, 0) }
for (1 .. 300) {
	next if fork;
	syscall(272, 0x10000000 | 0x20000); # unshare: CLONE_NEWUSER | CLONE_NEWNS
	sleep 1 while getppid == $parent;
	POSIX::_exit(0);
}
$| = 1;
print "ready\n";
<STDIN>;
`

// A user who keeps a lock looking, without hanging, is named as one who hangs is; and by
// force it is locked past him.
func TestACrowdIsNamedInTime(t *testing.T) {
	lab.Require(t, "setpriv:util-linux", "perl:perl")
	f := newFixture(t)
	command := exec.Command("sh", "-c", "ulimit -Sn $(ulimit -Hn); exec setpriv --reuid=65534 --clear-groups perl -e '"+crowd+"'")
	startActor(t, command)
	for _, verb := range []helper.Verb{helper.Lock, helper.LockForce} {
		begin := time.Now()
		r := f.run(verb)
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("%s took %v", verb, took)
		}
		named := 0
		for _, w := range r.Writers {
			if w.User == "nobody" && w.Program == "perl" && w.Kind == helper.WriterUnknown {
				named++
			}
		}
		switch {
		case r.Outcome == helper.Done:
		case verb == helper.LockForce || r.Outcome != helper.Blocked || named == 0:
			t.Errorf("%s = %s: %s, writers %+v", verb, r.Outcome, r.Error, r.Writers)
		default:
			t.Logf("%s names %d of the crowd: %s", verb, named, r.Error)
		}
	}
	f.expect("by force", helper.Locked)
}
