package systemd

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// If /run/immutray has no room for a request, users can still lock, and root can lock by
// force. Only an unlock is refused.
func TestNoRoomForARequest(t *testing.T) {
	b := boot(t)
	b.output("sh", "-c", "mkdir -m 755 /run/immutray && mount -t tmpfs -o mode=755,size=256k,nr_inodes=64 none /run/immutray")
	for _, fill := range []string{
		"cat /dev/zero >/run/immutray/filler 2>/dev/null || true",
		"i=0; while mkdir /run/immutray/filler.$((i+=1)) 2>/dev/null; do :; done",
	} {
		for _, lock := range []string{"PKEXEC_UID=65534 " + helper.HelperPath + " lock", helper.HelperPath + " lock", helper.HelperPath + " lock-force"} {
			b.ask("unlock", "--for", "1h")
			b.output("sh", "-c", fill)
			out := b.output("sh", "-c", lock)
			if !b.isLocked() || !strings.Contains(out, `"done"`) || !strings.Contains(out, "there is no room in /run/immutray") {
				t.Errorf("%s, %s: locked: %v: %s", fill, lock, b.isLocked(), out)
			}
			if r, _ := b.request("unlock", "--for", "1h"); r.Outcome != helper.Failed || !b.isLocked() {
				t.Errorf("%s, unlock: %s: %s, locked: %v", fill, r.Outcome, r.Error, b.isLocked())
			}
			b.output("sh", "-c", "rm -r /run/immutray/filler*")
		}
	}
}
