package writers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

func TestName(t *testing.T) {
	for _, test := range []struct{ executable, own, want string }{
		{"vim.basic", "vim", "vim.basic"},
		{"python3.11", "unattended-upgr", "unattended-upgr"},
		{"python3.11", "python3", "python3"},
		{"perl", "", "perl"},
		{"shutter", "x", "shutter"},
		{"", "own", "own"},
		{"", "", ""},
	} {
		if got := name(test.executable, test.own); got != test.want {
			t.Errorf("name(%q, %q) = %q, want %q", test.executable, test.own, got, test.want)
		}
	}
}

// A script that holds a file open is named by its own name.
func TestScriptsAreNamed(t *testing.T) {
	s := lab.New(t)
	script := filepath.Join(lab.Dir(t), "upgrade-all")
	text := "#!/bin/sh\nexec 3>>" + filepath.Join(s.Root, "file") + "\necho\nread end\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script)
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer end.Close()
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	found := scanAll(t, s)
	if len(found) != 1 || found[0].PID != cmd.Process.Pid || found[0].Program != "upgrade-all" {
		t.Errorf("found %+v", found)
	}
}
