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

// forMachine reports whether it is the machine that a task is about, and not other paths
// of a configuration that root named.
func (t task) forMachine() bool { return t.config == "" || t.config == config.Path }

func (d *desk) machineOf(t task) boot.Machine {
	if !t.forMachine() {
		return boot.Machine{}
	}
	return boot.Machine{Root: "/", Kept: d.kept}
}

// prepared returns the file that notes which lock was allowed last; see islands.Record.
func (d *desk) prepared(t task, c config.Config) string {
	file := islands.RecordOf(t.config, c.StateDir)
	if t.forMachine() {
		file = filepath.Join(d.kept, filepath.Base(file))
	}
	return file
}

// check is the condition of the boot's units: 0 when this boot is for the verb, which is
// what they go on with (ExecCondition= in systemd.service(5)). They also do when that
// can't be told: the verb itself looks again, and says what is wrong.
func (d *desk) check(t task) int {
	facts, err := d.machineOf(t).Facts()
	if verb, _ := facts.Decide(); err != nil || verb == t.verb {
		return helper.ExitDone
	}
	return helper.ExitFailed
}
