package systemd

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/client"
)

// A mistake in the configuration, made while the system is unlocked, does not prevent the
// lock at the end of the window or at boot. Root can unlock the system to correct it.
func TestARefusedConfigurationUnderSystemd(t *testing.T) {
	b := boot(t)
	const file = "/etc/immutray/config.toml"
	b.ask("lock")
	b.output("cp", "-p", file, "/run/good.toml")
	for _, spoil := range []string{
		"echo 'pats = 1' >" + file,
		"chmod o+w " + file,
		"rm " + file + " && mkdir " + file,
		`echo 'paths = ["/nonexistent"]' >` + file,
		`echo 'paths = ["/mnt/root/etc"]' >` + file, // what was unlocked is locked again
	} {
		b.ask("unlock", "--for", "4s")
		b.output("sh", "-c", spoil)
		if b.isLocked() {
			t.Fatalf("%s: locked before the end of the window", spoil)
		}
		b.await("the lock after "+spoil, b.isLocked)
		b.await("the end of the timers", func() bool { return len(b.timers()) == 0 })
		b.output("sh", "-c", "rm -rf "+file+"; cp -p /run/good.toml "+file)
	}

	b.output("sh", "-c", "echo 'pats = 1' >"+file)
	out, err := b.command(helper.HelperPath, "unlock").Output()
	if code, ok := err.(*exec.ExitError); !ok || code.ExitCode() != helper.ExitConfigRefused || !b.isLocked() {
		t.Errorf("unlock: %v: %s", err, out)
	}
	_, line, _ := strings.Cut(string(out), "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.Contains(client.Hint(r.Err()), "--ignore-config") {
		t.Errorf("the hint for %q is %q", line, client.Hint(r.Err()))
	}
	status := b.output("immutectl", "status")
	if !strings.Contains(status, "System: Locked") || !strings.Contains(status, "NOTICE: Cannot use "+file) {
		t.Errorf("the status is\n%s", status)
	}
	b.output("immutectl", "unlock", "--ignore-config", "--until-locked")
	if b.isLocked() {
		t.Error("it is locked with the file ignored")
	}
	b.output("systemctl", "start", "immutability-seal.service")
	if !b.isLocked() {
		t.Error("the seal leaves it open")
	}
}
