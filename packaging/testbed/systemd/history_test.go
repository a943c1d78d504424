package systemd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/journal"
	"immutray.org/packaging/testbed/lab"
)

// A recorder is a booted system with a journal and immutectl.
type recorder struct{ *booted }

// immutectl is where boot.sh puts it.
const immutectl = "/usr/local/bin/immutectl"

// keptDir returns a directory for what stays from boot to boot.
func keptDir(t *testing.T) string {
	t.Helper()
	kept := lab.Dir(t)
	if err := os.MkdirAll(filepath.Join(kept, "log/journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	return kept
}

// bootRecorder boots with the journal in kept. Each boot needs a digit of its own.
func bootRecorder(t *testing.T, kept string, digit int) recorder {
	t.Helper()
	lab.Require(t, "journalctl:systemd", "logger:bsdutils", "setpriv:util-linux")
	b := boot(t, kept, fmt.Sprintf("%08d-0000-4000-8000-000000000000", digit))
	r := recorder{b}
	r.await("the journal", func() bool { return r.try("systemctl", "is-active", "--quiet", "systemd-journald.service") == nil })
	r.output("journalctl", "--flush") // as systemd-journal-flush.service does when /var is mounted
	return r
}

// history returns a line per window, the newest first.
func (r recorder) history() []string {
	r.t.Helper()
	var report struct {
		Windows []struct {
			helper.Window
			Command string
			End     string
			Sealed  bool
		}
	}
	text := r.output(immutectl, "history", "--json")
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		r.t.Fatalf("%v: %s", err, text)
	}
	var lines []string
	for _, w := range report.Windows {
		line := fmt.Sprintf("%s (%s) %s", w.User, w.Reason, w.End)
		if w.Command != "" {
			line = fmt.Sprintf("%s (%s: %s) %s", w.User, w.Reason, w.Command, w.End)
		}
		if w.Sealed {
			line += " sealed"
		}
		lines = append(lines, line)
	}
	return lines
}

// expect waits for the history, because journald needs a moment to write its records.
func (r recorder) expect(want ...string) {
	r.t.Helper()
	var got []string
	r.await(fmt.Sprintf("the history %q", want), func() bool {
		if now := r.history(); !slices.Equal(now, got) {
			got = now
			r.t.Logf("the history is %q", got)
		}
		return slices.Equal(got, want)
	})
}

// asUser runs a command as an ordinary user.
func asUser(args ...string) []string {
	return append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"}, args...)
}

// forge sends, as an ordinary user, a record like root's.
func (r recorder) forge(fields ...string) {
	r.t.Helper()
	fields = append(fields, "MESSAGE=forged", "_UID=0", "IMMUTRAY_REQUEST=forged", "IMMUTRAY_VERB=lock", "IMMUTRAY_CAUSE=person", "IMMUTRAY_STATE=locked", "IMMUTRAY_USER=root")
	cmd := r.command(asUser("logger", "--journald")...)
	cmd.Stdin = strings.NewReader(strings.Join(fields, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	r.await("the forged record", func() bool {
		return r.output("journalctl", "--quiet", "--output=cat", fields[0], "MESSAGE=forged") != ""
	})
}

// With a real journal and a real systemd, over several boots, some of which end in a power
// cut.
func TestHistoryUnderSystemd(t *testing.T) {
	lab.Require(t, "unshare:util-linux")
	kept := keptDir(t)
	r := bootRecorder(t, kept, 1)
	r.ask("lock")
	r.expect()
	r.ask("unlock", "--for", "1h", "--reason", "new kernel")
	r.ask("unlock", "--until-locked")
	r.forge("MESSAGE_ID=" + journal.Outcome)
	r.forge("MESSAGE_ID=98268866d1d54a499c4e98921d93bc40") // that the machine is shut down
	r.expect("root (new kernel) open")
	// Without the right to read the journal, and without the reason.
	if out, err := r.command(asUser(immutectl, "history")...).CombinedOutput(); err != nil || !strings.Contains(string(out), "root  still open") || strings.Contains(string(out), "new kernel") {
		t.Errorf("the history for an ordinary user: %v, %s", err, out)
	}
	r.ask("lock")
	r.ask("unlock", "--for", "1s", "--reason", "a\x1b[31m")
	r.await("the lock", r.isLocked)
	r.expect(`root (a\x1b[31m) timer`, "root (new kernel) person")
	const synced = "/run/systemd/journal/synced" // journald's, made whenever it has written to the disk
	r.output("rm", "-f", synced)
	r.ask("unlock")
	r.await("the journal on the disk", func() bool { return r.try("test", "-e", synced) == nil })
	r.end()

	r = bootRecorder(t, kept, 2)
	r.expect("root () crash", `root (a\x1b[31m) timer`, "root (new kernel) person")
	r.ask("seal")
	r.expect("root () crash sealed", `root (a\x1b[31m) timer`, "root (new kernel) person")
	r.ask("unlock", "--reason", "shutdown")
	r.output("systemctl", "start", "sysinit.target")
	r.output("systemctl", "stop", "sysinit.target") // as a shutdown does
	r.await("the record of it", func() bool {
		return r.output("journalctl", "--quiet", "--output=cat", "UNIT=sysinit.target", "JOB_TYPE=stop") != ""
	})
	r.end()

	r = bootRecorder(t, kept, 3)
	r.ask("seal")
	r.expect("root (shutdown) seal sealed", "root () crash sealed", `root (a\x1b[31m) timer`, "root (new kernel) person")
}
