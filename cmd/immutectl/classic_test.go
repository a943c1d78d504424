package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/packaging/testbed/lab"
)

// classic returns the classic script (see CONTRIBUTING.md), pointed at the test system.
func (f *fixture) classic(t testing.TB, verb string) *exec.Cmd {
	t.Helper()
	script, err := filepath.Abs("testdata/classic-immutectl.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", script, verb)
	cmd.Env = append(os.Environ(), "ROOT="+f.Root, "ETC="+f.Etc)
	return cmd
}

func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}

// TestStatusKeepsTheClassicShape: where the classic script was right, ours prints
// the same lines, and only adds to them. So scripts that read those go on working.
func TestStatusKeepsTheClassicShape(t *testing.T) {
	f := newFixture(t)
	lab.Require(t, "bash:bash")
	program := lab.Program(t, "immutectl")
	for _, verb := range []string{"unlock", "lock"} {
		output(t, exec.Command(program, f.command(verb)...))
		want := output(t, f.classic(t, "status"))
		got := output(t, exec.Command(program, f.command("status")...))
		if !strings.HasPrefix(got, want) {
			t.Errorf("status after %s =\n%s\nwant it to begin with\n%s", verb, got, want)
		}
	}
}

// BenchmarkStatus compares "status" with the classic script's; times-faster is the ratio of
// the medians, which a busy neighbour moves less than the means. The budget is 10.
func BenchmarkStatus(b *testing.B) {
	f := newFixture(b)
	lab.Require(b, "bash:bash")
	program := lab.Program(b, "immutectl")
	var ours, classics []time.Duration
	for b.Loop() {
		ours = append(ours, timed(b, exec.Command(program, f.command("status")...)))
		classics = append(classics, timed(b, f.classic(b, "status")))
	}
	b.ReportMetric(0, "ns/op") // of both together says nothing
	b.ReportMetric(median(ours).Seconds()*1e3, "immutectl-ms")
	b.ReportMetric(median(classics).Seconds()*1e3, "classic-ms")
	b.ReportMetric(median(classics).Seconds()/median(ours).Seconds(), "times-faster")
}

// BenchmarkLockUnlock compares a lock and an unlock, by immutectl and the helper it
// starts, with the classic script's. The budget is 3.
func BenchmarkLockUnlock(b *testing.B) {
	f := newFixture(b)
	lab.Require(b, "bash:bash")
	program := lab.Program(b, "immutectl")
	var ours, classics []time.Duration
	for b.Loop() {
		ours = append(ours, timed(b, exec.Command(program, f.command("lock")...))+timed(b, exec.Command(program, f.command("unlock")...)))
		classics = append(classics, timed(b, f.classic(b, "lock"))+timed(b, f.classic(b, "unlock")))
	}
	b.ReportMetric(0, "ns/op") // of both together says nothing
	b.ReportMetric(median(ours).Seconds()*1e3, "immutectl-ms")
	b.ReportMetric(median(classics).Seconds()*1e3, "classic-ms")
	b.ReportMetric(median(classics).Seconds()/median(ours).Seconds(), "times-faster")
}

// timed runs cmd, its output thrown away, and returns how long it took.
func timed(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v", cmd, err)
	}
	return time.Since(start)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
