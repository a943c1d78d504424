//go:build machine

package machine

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// textMode boots without the desktop, which these tests have no use for.
const textMode = "systemd.unit=multi-user.target"

// expectState fails when the guest is in another state, or its layers are other than
// that state means as PID 1 sees them.
func expectState(t *testing.T, v *vm, want helper.State) {
	t.Helper()
	s, err := v.state()
	check(t, err)
	if s.State != want {
		t.Fatalf("the system is %s, want %s: %+v", s.State, want, s.Paths)
	}
	mount, property := "rw", "ro=false"
	if want == helper.Locked {
		mount, property = "ro", "ro=true"
	}
	for _, path := range []string{"/", "/etc"} {
		if got := strings.TrimSpace(must(t, v.as(root), "awk '$5 == \""+path+"\" {print $6}' /proc/1/mountinfo | tail -n 1 | cut -d, -f1")); got != mount {
			t.Errorf("%s is mounted %s for PID 1, want %s", path, got, mount)
		}
		if got := strings.TrimSpace(must(t, v.as(root), "btrfs property get "+path+" ro")); got != property {
			t.Errorf("%s has the property %s, want %s", path, got, property)
		}
		_, err := v.as(root).run("f=" + path + "/.probe; touch $f && rm $f")
		if (err != nil) != (want == helper.Locked) {
			t.Errorf("writing to %s in a system that is %s: %v", path, want, err)
		}
	}
}

// writeIslands writes all the time where writing must always be possible, and ends with
// the first error. It starts no program for that: under emulation each costs a tenth of
// a second of work. Nothing is ever written to descriptor 9, so that reading from it is
// a pause.
const writeIslands = `mkfifo /run/island-writer && exec 9<>/run/island-writer
while true; do
	for d in /home/rrs /home/ann /var/lib /var/log /var/cache /var/spool /var/tmp; do
		echo $RANDOM >$d/.writer || exit 1
	done
	read -r -t 0.2 -u 9
done`

const islandWriter = "island-writer.service"

// startWriter starts it; what it could not do, expectWriter finds.
func startWriter(t *testing.T, v *vm) {
	t.Helper()
	_, err := v.as(root).runWith(strings.NewReader(writeIslands), "cat >/run/write-islands && systemd-run --quiet --unit="+islandWriter+" bash /run/write-islands")
	check(t, err)
}

func expectWriter(t *testing.T, v *vm) {
	t.Helper()
	if got := property(t, v, islandWriter, "ActiveState"); got != "active" {
		journal, _ := v.as(root).run("journalctl --boot --no-pager --unit " + islandWriter)
		t.Errorf("not every island could be written to all the time: %s", journal)
	}
}

// records counts the journal's records of a kind: intent or outcome.
func records(t *testing.T, v *vm, messageID string) string {
	t.Helper()
	return must(t, v.as(root), "journalctl --sync; journalctl --boot --no-pager --output=cat MESSAGE_ID="+messageID)
}

const (
	intent  = "6d3b0c7e1f5a4c0c9e3a2f7b8d41c960"
	outcome = "b1f2a94d7c3e4e58a6f0d5c29b7e8031"
)

// The whole way of root's lock and unlock on a real system, with every hardening option
// of the units in force, and what the package does and does not do by itself.
func TestLockAndUnlockThroughSystemd(t *testing.T) {
	v := newMachine(t)
	check(t, v.boot(textMode))
	install(t, v)
	if out, err := v.as(root).run("systemctl is-enabled immutability-seal.service"); err == nil {
		t.Errorf("installing the package enabled the seal: %s", out)
	}
	expectState(t, v, helper.Unlocked)
	startWriter(t, v)
	lockAndUnlock(t, v)
}

func lockAndUnlock(t *testing.T, v *vm) {
	must(t, v.as(root), "immutectl lock")
	expectState(t, v, helper.Locked)
	must(t, v.as(root), "immutectl is-locked")
	for id, want := range map[string]string{
		intent:  `about to lock "/" "/etc" for root`,
		outcome: "lock for root: done, the system is locked",
	} {
		if got := records(t, v, id); !strings.Contains(got, want) {
			t.Errorf("the journal has no record %q: %s", want, got)
		}
	}

	must(t, v.as(root), "immutectl unlock")
	expectState(t, v, helper.Unlocked)

	// As pkexec starts the helper for an applet that was started in a private mount
	// namespace: the unit works in the machine's.
	t.Run("from a private mount namespace", func(t *testing.T) {
		const pkexec = "PKEXEC_UID=1000 unshare --mount "
		must(t, v.as(root), pkexec+helper.HelperPath+" lock")
		expectState(t, v, helper.Locked)
		must(t, v.as(root), pkexec+helper.HelperPath+" unlock")
		expectState(t, v, helper.Unlocked)
	})

	t.Run("blocked by a writer", func(t *testing.T) {
		must(t, v.as(root), "systemd-run --quiet --unit=blocker bash -c 'exec 3>/opt/held; exec sleep infinity'")
		defer must(t, v.as(root), "systemctl stop blocker; rm -f /opt/held")
		out, err := v.as(root).run("until test -e /opt/held; do sleep 0.1; done; immutectl lock")
		if codeOf(err) != helper.ExitBlocked || !strings.Contains(out, "/opt/held") {
			t.Errorf("lock with an open file ended with %v, want exit code %d and the file's name", err, helper.ExitBlocked)
		}
		// Nothing has changed on the path that is written to. The other is locked, which is
		// the safe side.
		s, err := v.state()
		check(t, err)
		for _, p := range s.Paths {
			if p.Path == "/" && p.State != helper.Unlocked {
				t.Errorf("after a lock that was refused / is %s, want it as it was", p.State)
			}
		}
		must(t, v.as(root), "systemctl reset-failed immutray-lock.service")
	})
	must(t, v.as(root), "immutectl lock")
	expectState(t, v, helper.Locked)

	t.Run("dpkg while locked", func(t *testing.T) {
		if out, err := v.as(root).run("dpkg --remove immutray"); err == nil {
			t.Errorf("a locked system lost its package: %s", out)
		}
		must(t, v.as(root), "immutectl unlock")
		expectState(t, v, helper.Unlocked)
	})

	expectWriter(t, v)
	if failed := must(t, v.as(root), "systemctl --failed --no-legend --plain"); failed != "" {
		t.Errorf("units failed: %s", failed)
	}
}
