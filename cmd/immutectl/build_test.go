package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The command line asks; what changes the system is in the helper alone.
func TestLinksNeitherEngineNorServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		switch strings.TrimPrefix(pkg, "immutray.org/helper/") {
		case "engine", "server", "run/guardian":
			t.Errorf("immutectl links %s", pkg)
		}
	}
}
