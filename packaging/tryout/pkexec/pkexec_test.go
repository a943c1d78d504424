package pkexec

import (
	"slices"
	"strings"
	"testing"
)

const policy = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD polkit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig>
  <vendor>Example</vendor>
  <icon_name>general</icon_name>
  <action id="org.example.look">
    <message xml:lang="de">Zum Ansehen</message>
    <message>To look</message>
    <defaults><allow_any>auth_admin</allow_any><allow_inactive>no</allow_inactive><allow_active>yes</allow_active></defaults>
    <annotate key="org.freedesktop.policykit.exec.path">/usr/bin/example</annotate>
    <annotate key="org.freedesktop.policykit.exec.argv1">look</annotate>
  </action>
  <action id="org.example.change">
    <message>To change &lt;everything&gt;</message>
    <icon_name>special</icon_name>
    <defaults><allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>auth_admin</allow_active></defaults>
    <annotate key="org.freedesktop.policykit.exec.path">/usr/bin/example</annotate>
    <annotate key="org.freedesktop.policykit.exec.argv1">change</annotate>
  </action>
</policyconfig>`

func TestParsePolicy(t *testing.T) {
	tests := map[string]struct {
		program, argument string
		want              *action
	}{
		"allowed":         {"/usr/bin/example", "look", &action{"org.example.look", "To look", "general", "yes"}},
		"asks":            {"/usr/bin/example", "change", &action{"org.example.change", "To change <everything>", "special", "auth_admin"}},
		"other verb":      {"/usr/bin/example", "break", nil},
		"other program":   {"/usr/bin/other", "look", nil},
		"path as written": {"/usr/bin/../bin/example", "look", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parsePolicy(strings.NewReader(policy), test.program, test.argument)
			if err != nil {
				t.Fatal(err)
			}
			if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
				t.Errorf("parsePolicy(%s %s) = %+v, want %+v", test.program, test.argument, got, test.want)
			}
		})
	}
}

// zenity 3 knows only --icon-name, zenity 4 only --icon (zenity(1)).
func TestDialogFitsBothZenities(t *testing.T) {
	a := &action{ID: "org.example.change", Message: "To <change>", Icon: "special"}
	for major, icon := range map[string]string{"3": "--icon-name=special", "4": "--icon=special", "": "--icon=special"} {
		args := dialog(a, major)
		if !slices.Contains(args, icon) {
			t.Errorf("dialog for zenity %q has no %s: %q", major, icon, args)
		}
		if !strings.Contains(strings.Join(args, " "), "To &lt;change&gt;") {
			t.Errorf("dialog for zenity %q shows the sentence as markup: %q", major, args)
		}
	}
}
