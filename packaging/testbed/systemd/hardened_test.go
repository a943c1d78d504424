package systemd

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Most of the hardening is in a drop-in for all services whose names begin alike. systemd
// applies it to each of them, instances of templates included.
func TestEveryServiceGetsItsDropIn(t *testing.T) {
	b := boot(t)
	files, err := filepath.Glob(unitsDir + "/*.service")
	if err != nil || len(files) == 0 {
		t.Fatalf("the services: %q, %v", files, err)
	}
	for _, file := range files {
		unit := strings.Replace(filepath.Base(file), "@.", "@instance.", 1)
		got := b.output("systemctl", "show", "--property=DropInPaths,NoNewPrivileges,PrivateNetwork,PrivateMounts,MemoryDenyWriteExecute,ProtectClock,UMask,LoadState", unit)
		for _, want := range []string{
			".service.d/10-common.conf\n", "LoadState=loaded\n", "NoNewPrivileges=yes\n", "PrivateNetwork=yes\n",
			"PrivateMounts=no\n", "MemoryDenyWriteExecute=yes\n", "ProtectClock=yes\n", "UMask=0077\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s has no %q:\n%s", unit, want, got)
			}
		}
		// The drop-in takes away from what the unit allows.
		filter := b.output("systemctl", "show", "--property=SystemCallFilter", "--value", unit)
		if calls := strings.Fields(filter); len(calls) == 0 || strings.HasPrefix(filter, "~") || !slices.Contains(calls, "openat") || slices.Contains(calls, "reboot") || slices.Contains(calls, "chroot") {
			t.Errorf("%s: SystemCallFilter=%s", unit, filter)
		}
		mounts := strings.Contains(b.output("systemctl", "cat", unit), "ExecStart=/usr/libexec/immutray/immutray-helper")
		if got := slices.Contains(strings.Fields(filter), "mount_setattr"); got != mounts {
			t.Errorf("%s may change mounts: %t, want %t", unit, got, mounts)
		}
	}
}
