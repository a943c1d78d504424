package main

import (
	"slices"
	"testing"

	"immutray.org/packaging/tryout/system"
)

// A panel outside the practice system does not see the icons that are installed in it, so the
// applet must not name them.
func TestOwnPanelGetsNoNamesOfIcons(t *testing.T) {
	session, _, err := open(inPanel, system.DefaultPerson(), []string{"DISPLAY=:7"})
	if err != nil {
		t.Fatal(err)
	}
	env := session.Env()
	for _, want := range []string{"DISPLAY=:7", "IMMUTRAY_PRACTICE=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("the applet's environment lacks %s: %v", want, env)
		}
	}
}
