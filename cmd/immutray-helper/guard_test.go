package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"immutray.org/helper"
)

// Only the runner of "immutectl run", which is root's, can have a guardian: for a user, pkexec
// would start it as it starts any first argument, for an administrator's password.
func TestOnlyARunnerHasAGuardian(t *testing.T) {
	s := newSystem(t)
	cmd := exec.Command(s.helper, "guard")
	cmd.Env = []string{"PKEXEC_UID=1000"}
	got := runCommand(t, cmd)
	if want := `cannot do "guard": there is no such verb`; got.code != helper.ExitUsage || got.result.Error != want {
		t.Errorf("as a user: exit code %d, %+v, want %d and %q", got.code, got.result, helper.ExitUsage, want)
	}

	file, err := os.Open(s.config)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, test := range map[string]struct {
		program []string
		inherit []*os.File
		want    string
		code    int
	}{
		"no socket":     {[]string{s.helper, "guard"}, nil, `cannot guard a command: only "immutectl run" can start a guardian: `, helper.ExitFailed},
		"a file":        {[]string{s.helper, "guard"}, []*os.File{file}, `cannot guard a command: only "immutectl run" can start a guardian: `, helper.ExitFailed},
		"a relative":    {[]string{s.helper, "guard", "--config", "x"}, nil, `cannot guard a command: unexpected argument "--config"`, helper.ExitUsage},
		"anything else": {[]string{s.helper, "guard", "--work"}, nil, `cannot guard a command: unexpected argument "--work"`, helper.ExitUsage},
		"not root":      {[]string{"setpriv", "--reuid=65534", "--clear-groups", s.helper, "guard"}, nil, "must run as root", helper.ExitFailed},
	} {
		var words bytes.Buffer
		cmd := exec.Command(test.program[0], test.program[1:]...)
		cmd.ExtraFiles, cmd.Stderr = test.inherit, &words
		_ = cmd.Run() // the exit code says how it went
		if got := cmd.ProcessState.ExitCode(); got != test.code || !strings.Contains(words.String(), test.want) {
			t.Errorf("%s: exit code %d, %q, want %d and %q", name, got, words.String(), test.code, test.want)
		}
	}
	s.unchanged(t)
}
