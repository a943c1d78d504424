package main

import (
	"os"
	"strings"
	"testing"

	"immutray.org/helper/config"
)

func TestWhereAValueComesFrom(t *testing.T) {
	file := t.TempDir() + "/config.toml"
	const text = "# mine\nunlock_max = '30m'\n\nrelock_on = ['sleep']\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	report, err := (&app{configFile: file}).reportConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(configText(report)), " ")
	for _, want := range []string{
		`paths = ["/", "/etc"] # default`, `unlock_default = "30m" # unlock_max`, `unlock_max = "30m" # ` + file + " line 2",
		`relock_on = ["sleep"] # ` + file + " line 4", "log_command_lines = false # default",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table is %s, want %s in it", got, want)
		}
	}
}
