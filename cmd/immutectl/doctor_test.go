package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"immutray.org/helper/config"
	"immutray.org/helper/doctor"
)

// TestDoctor runs scripts with the command "doctor CODE FACTS [FLAGS…]": immutectl
// doctor on the machine that the file FACTS describes, wanting that exit code. The
// caller is root with FAKE_USER=root.
func TestDoctor(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/doctor",
		UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"doctor": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: doctor CODE FACTS [FLAGS...]")
				}
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				var facts doctor.Facts
				ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &facts))
				if got := runDoctor(ts, facts, args[2:]); got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
		},
		RequireUniqueNames: true,
	})
}

// runDoctor runs immutectl doctor in this process, on other facts than the machine's.
func runDoctor(ts *testscript.TestScript, facts doctor.Facts, flags []string) int {
	a := &app{
		stdout:     ts.Stdout(),
		stderr:     ts.Stderr(),
		errorWidth: func() int { return 0 },
		root:       ts.Getenv("FAKE_USER") == "root",
		loadConfig: func(file string) (config.Config, error) {
			if file != "" {
				return config.Config{}, fmt.Errorf("cannot use %s: %w", file, config.ErrRefused)
			}
			return config.Default(), nil
		},
	}
	cmd := a.doctorCommand(func(context.Context, config.Config, string) doctor.Facts { return facts })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.Flags().StringVar(&a.configFile, "config", "", "")
	cmd.SetArgs(flags)
	return a.report(cmd.Execute())
}

// The real doctor, on this machine: whatever it says, the answer is whole.
func TestDoctorHere(t *testing.T) {
	var out strings.Builder
	a := &app{stdout: &out, stderr: os.Stderr, errorWidth: func() int { return 0 }, loadConfig: func(string) (config.Config, error) { return config.Default(), nil }}
	err := a.doctor(context.Background(), machineFacts, true, false)
	var f *failure
	if !errors.As(err, &f) || f.err != nil || f.code > 1 {
		t.Fatalf("doctor: %v", err)
	}
	var r doctor.Report
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil || r.Ready != (f.code == 0) || len(r.Findings) < 8 {
		t.Errorf("exit code %d, %v: %s", f.code, err, out.String())
	}
}
