package server

import (
	"path/filepath"

	"immutray.org/helper"
	"immutray.org/helper/boot"
	"immutray.org/helper/config"
	"immutray.org/helper/islands"
)

// keptDir is what root keeps over boots.
const keptDir = "/var/lib/immutray"

// isMachines reports whether a configuration file, as a command line names it, is the one
// of the machine. Root may name others, with other paths.
func isMachines(file string) bool { return file == "" || file == config.Path }

func (s *server) machineOf(file string) boot.Machine {
	if !isMachines(file) {
		return boot.Machine{}
	}
	return boot.Machine{Root: "/", Kept: s.kept}
}

// prepared returns the file that notes which lock was allowed last; see islands.Record.
func (s *server) prepared(file string, c config.Config) string {
	record := islands.RecordOf(file, c.StateDir)
	if isMachines(file) {
		record = filepath.Join(s.kept, filepath.Base(record))
	}
	return record
}

// check is the condition of the boot's units (ExecCondition= in systemd.service(5)): 0 if
// this boot is for the verb, or if that cannot be told. Then the verb itself looks again,
// and reports what is wrong.
func (s *server) check(call helper.CommandLine) int {
	facts, err := s.machineOf(call.Config).Facts()
	if verb, _ := facts.Decide(); err != nil || verb == call.Verb {
		return helper.ExitDone
	}
	return helper.ExitFailed
}
