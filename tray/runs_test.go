package tray

import (
	"os"
	"path/filepath"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/run/records"
	"immutray.org/packaging/testbed/lab"
)

// The end of a command that a lock waits for is seen from its record.
func TestACommandIsBusyUntilItsEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to record a command")
	}
	s := newSystem(t, "/etc")
	record, err := records.Put(filepath.Dir(s.Config.File), helper.Run{ID: "r", PID: 4711, Command: []string{"vi"}, SystemWide: true})
	if err != nil {
		t.Fatal(err)
	}
	vi := helper.Busy{Manager: helper.RunManager, PID: 4711}
	if !s.IsBusy(vi) || s.IsBusy(helper.Busy{Manager: helper.RunManager, PID: 1}) {
		t.Error("the command does not run, or another does")
	}
	record.Close()
	if s.IsBusy(vi) {
		t.Error("it runs after its end")
	}
}
