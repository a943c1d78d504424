package systemd

import (
	"strings"
	"testing"
)

// Under a real systemd, with all the hardening of the unit.
func TestMetricsUnderSystemd(t *testing.T) {
	b := boot(t)
	b.output("sh", "-c", "mkdir /run/metrics /run/units/immutray-metrics.service.d && chown 65534 /run/metrics && "+
		"printf '[Service]\\nEnvironment=DIRECTORY=/run/metrics\\n' >/run/units/immutray-metrics.service.d/here.conf && systemctl daemon-reload")
	written := func() string { return b.output("cat", "/run/metrics/immutray.prom") }
	for _, step := range []struct{ ask, want string }{
		{"unlock", `immutray_path_read_only{path="/mnt/root",layer="mount"} 0`},
		{"lock", `immutray_path_read_only{path="/mnt/root",layer="mount"} 1`},
	} {
		b.ask(step.ask)
		b.output("systemctl", "start", metrics)
		if got := written(); !strings.Contains(got, "\n"+step.want+"\n") {
			t.Errorf("after the %s the metrics are\n%s\nwant %s", step.ask, got, step.want)
		}
	}
	if got := b.output("stat", "--format=%a", "/run/metrics/immutray.prom"); strings.TrimSpace(got) != "644" {
		t.Errorf("the file has mode %s, want it readable by node_exporter", got)
	}

	b.output("mount", "-t", "tmpfs", "-o", "ro", "none", "/run/metrics")
	if b.try("systemctl", "start", metrics) == nil {
		t.Error("into a read-only directory: the unit did not fail")
	}
	if got := b.output("ls", "/run/metrics"); got != "" {
		t.Errorf("there it left %q", got)
	}
	b.output("umount", "/run/metrics")
	if got := written(); !strings.HasSuffix(got, "\n") {
		t.Errorf("the metrics are\n%s", got)
	}
}
