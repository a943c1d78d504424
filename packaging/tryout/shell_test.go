package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// With a terminal and without a display, "make run" gives a shell in the practice system.
func TestShell(t *testing.T) {
	lab.Require(t, "script:bsdutils", "man:man-db")
	if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); err != nil {
		lab.Unavailable(t, "bash-completion is missing (apt install bash-completion)")
	}
	script, err := exec.LookPath("script")
	if err != nil {
		t.Fatal(err)
	}
	before := machineState(t)
	p := preparePractice(t)
	// script(1) makes a terminal for the command. The environment names no display.
	p.cmd.Args = []string{"script", "--quiet", "--return", "--command", strings.Join(p.cmd.Args, " "), "/dev/null"}
	p.cmd.Path = script
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=dumb", "HOME=" + t.TempDir()}
	keyboard, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)

	p.waitFor(t, "the shell", func() bool { return strings.Contains(p.out.String(), "practice:~#") })
	p.look()
	for _, line := range []struct{ command, answer string }{
		{"immutectl status | tail -n 1", "System: Locked"},
		{"touch /etc/hello || echo refu''sed", "refused"},
		{"touch /usr/bin/hello || echo refused a''gain", "refused again"},
		{"immutectl unlock >/dev/null && touch /etc/hello && echo allo''wed", "allowed"},
		{"immutectl history | tr a-z A-Z | grep OPEN", "STILL OPEN"},
		{"immutectl doctor | grep -e pkexec -e chmod | sed s/pkexec/PKEXEC/g", "ok       PKEXEC is installed"},
		{"man immutectl | tr a-z A-Z | head -n 1", "IMMUTECTL(1)"},
		{"immutectl statu\t--json | head -n 1", "immutectl status --json"},
		{"kill $(pidof immutray)", `Type "immutray" to start it again`},
		{"immutray", "The applet has started"},
		{"immutray", "The applet is running"},
		{"immutray --version | sed s/^/is:''-/", "is:-"},
		{"picture", filepath.Join(p.pictures, nowPicture)},
	} {
		if _, err := io.WriteString(keyboard, line.command+"\n"); err != nil {
			t.Fatal(err)
		}
		p.waitFor(t, line.answer, func() bool { return strings.Contains(p.out.String(), line.answer) })
	}
	if _, err := os.Stat(filepath.Join(p.pictures, nowPicture)); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(keyboard, "exit\n"); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		t.Errorf("the shell ended with %v\n%s", p.cmd.ProcessState, p.out.String())
	}
	p.expectNothingLeft(t, before)
}
