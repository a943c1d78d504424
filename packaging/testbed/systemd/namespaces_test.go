package systemd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
)

// sandboxes are services with every kind of sandbox, by their settings. A service with a
// root directory of its own needs its program in there.
var sandboxes = map[string]string{
	"tmp":       "PrivateTmp=yes",
	"mounts":    "PrivateMounts=yes",
	"full":      "ProtectSystem=full\nProtectHome=yes\nPrivateDevices=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes",
	"strict":    "ProtectSystem=strict",
	"strictetc": "ProtectSystem=strict\nReadWritePaths=/mnt/root/etc",
	"strictown": "ProtectSystem=strict\nReadWritePaths=/mnt/root/etc/own",
	"strictall": "ProtectSystem=strict\nReadWritePaths=/mnt/root",
	"rofor":     "ReadOnlyPaths=/mnt/root/etc",
	"robut":     "ReadOnlyPaths=/mnt/root\nReadWritePaths=/mnt/root/etc/own",
	"hidden":    "InaccessiblePaths=/mnt/root/etc",
	"dynamic":   "DynamicUser=yes",
	"users":     "PrivateUsers=yes\nPrivateTmp=yes",
	"bound":     "BindPaths=/mnt/root:/srv",
	"boundro":   "BindReadOnlyPaths=/mnt/root/etc:/srv",
	"nothing":   "TemporaryFileSystem=/mnt:ro\nBindPaths=/mnt/root/etc/own",
	"noexec":    "NoExecPaths=/mnt/root/etc",
	"rootyes":   inRoot + "ProtectSystem=yes",
	"rootfull":  inRoot + "ProtectSystem=full",
	"rootetc":   inRoot + "ProtectSystem=strict\nReadWritePaths=+/etc",
	"roothost":  inRoot + "ProtectSystem=strict\nReadWritePaths=/etc -/mnt/root/etc/own",
}

const inRoot = `RootDirectory=/mnt/root
MountAPIVFS=yes
BindReadOnlyPaths=/usr/bin/sleep:/bin/sleep /lib/x86_64-linux-gnu /lib64
`

// The directories in which they may or may not write, by the paths that they see.
var probes = []string{"/mnt/root", "/mnt/root/etc", "/mnt/root/etc/own", "/mnt/root/usr", "/srv", "/srv/etc", "/", "/etc", "/etc/own", "/usr", "/root"}

// startSandboxes starts the services, and returns what each can write to.
func (b *booted) startSandboxes() {
	b.t.Helper()
	var script strings.Builder
	script.WriteString("mkdir -p /mnt/root/usr /mnt/root/root /mnt/root/etc/own /mnt/root/bin /mnt/root/lib/x86_64-linux-gnu /mnt/root/lib64 /mnt/root/dev /mnt/root/proc /mnt/root/sys /mnt/root/run /mnt/root/tmp /mnt/root/var && touch /mnt/root/bin/sleep\n")
	for name, settings := range sandboxes {
		fmt.Fprintf(&script, "cat >/run/units/sandbox-%s.service <<'END'\n[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep infinity\n%s\nEND\n", name, settings)
	}
	script.WriteString("systemctl daemon-reload\n")
	b.output("sh", "-ec", script.String())
	b.restartSandboxes()
}

func (b *booted) restartSandboxes() {
	b.t.Helper()
	args := []string{"systemctl", "restart"}
	for name := range sandboxes {
		args = append(args, "sandbox-"+name)
	}
	if out, err := b.command(args...).CombinedOutput(); err != nil {
		b.t.Fatalf("the services don't start: %v: %s\n%s", err, out, b.output("systemctl", "status", "--no-pager", "sandbox-*"))
	}
}

// sandboxed returns what each service can write to on the protected subvolumes. It creates
// files through the root directory of the service and looks which appear on a subvolume.
func (b *booted) sandboxed() map[string][]string {
	b.t.Helper()
	var script strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sandboxes)) {
		fmt.Fprintf(&script, "pid=$(systemctl show --property=MainPID --value sandbox-%s)\n", name)
		for _, p := range probes {
			fmt.Fprintf(&script, "case $(stat -c %%d /proc/$pid/root%[2]s 2>/dev/null) in $root|$etc) if touch /proc/$pid/root%[2]s/probe 2>/dev/null; then echo %[1]s %[2]s; fi;; esac\n", name, p)
		}
	}
	out := b.output("sh", "-c", "root=$(stat -c %d /mnt/root) etc=$(stat -c %d /mnt/root/etc)\n"+script.String())
	writable := map[string][]string{}
	for line := range strings.Lines(out) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		writable[name] = append(writable[name], path)
	}
	return writable
}

func (b *booted) expectSandboxed(when string, want map[string][]string) {
	b.t.Helper()
	got := b.sandboxed()
	for name := range sandboxes {
		if !slices.Equal(got[name], want[name]) {
			b.t.Errorf("%s, %s (%s) can write to %q, want %q", when, name, sandboxes[name], got[name], want[name])
		}
	}
}

// In an unlocked system a service can write to what its settings allow, whenever it was
// started. In a locked one it can write to nothing, also while a command of "immutectl run"
// is running.
func TestServicesUnderSystemd(t *testing.T) {
	b := boot(t)
	b.startSandboxes()
	given := b.sandboxed()
	for name, want := range map[string]string{
		"bound": "/srv/etc", "nothing": "/mnt/root/etc/own", "rofor": "/mnt/root",
	} {
		if !slices.Contains(given[name], want) {
			t.Fatalf("%s can write to %q only", name, given[name])
		}
	}
	locked := func(when string) {
		t.Helper()
		b.expectSandboxed(when, nil)
		b.call(immutectl, "run", "--", "sh", "-c", "touch /mnt/root/etc/file && touch /run/begun && exec sleep 60")
		b.await("the command", func() bool { return b.try("rm", "/run/begun") == nil })
		b.expectSandboxed(when+", while a command runs", nil)
		b.output("systemctl", "stop", "caller.service")
		b.await("the lock", func() bool { return !strings.Contains(b.output(immutectl, "status"), "ro=false") })
	}
	unlocked := func(when string) {
		t.Helper()
		b.expectSandboxed(when, given)
		if status := b.output(immutectl, "status"); strings.Contains(status, "sandbox-") {
			t.Errorf("%s: %s", when, status)
		}
	}
	b.ask("lock")
	locked("locked after they were started")
	b.ask("unlock")
	unlocked("started before the lock, unlocked")
	b.ask("lock")
	b.restartSandboxes()
	locked("started after the lock")
	b.ask("unlock")
	unlocked("started after the lock, unlocked")
	b.restartSandboxes()
	unlocked("started after the unlock")
	b.ask("lock")
	locked("locked again")
	b.output(helper.HelperPath, "unlock")
	unlocked("unlocked again")
}
