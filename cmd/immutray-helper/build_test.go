package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// All that runs as root is to be read by whoever reviews it: the standard library,
// x/sys, D-Bus, the types of systemd on it, and TOML.
func TestLinksOnlyWhatIsAllowed(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		allowed := false
		for _, module := range []string{"immutray.org", "golang.org/x/sys", "github.com/godbus/dbus/v5", "github.com/coreos/go-systemd/v22/dbus", "github.com/BurntSushi/toml"} {
			allowed = allowed || pkg == module || strings.HasPrefix(pkg, module+"/")
		}
		if !allowed {
			t.Errorf("the helper links %s", pkg)
		}
	}
}

// There is no code in the program that could start another.
func TestExecutesNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "immutray-helper")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(symbols), " main.main\n") {
		t.Fatal("the symbols can't be read")
	}
	for _, symbol := range []string{" os/exec.(*Cmd)", " os.StartProcess", " syscall.forkExec", " syscall.Exec"} {
		if strings.Contains(string(symbols), symbol) {
			t.Errorf("the helper contains%s", symbol)
		}
	}
}
