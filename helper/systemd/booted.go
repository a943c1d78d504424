package systemd

import "os"

// Booted reports whether PID 1 is systemd. It is sd_booted(3), and a look at PID 1: a PID
// namespace may have another one although the machine's /run is visible in it, and
// nothing that is asked for in there is meant for the machine.
func Booted() bool {
	info, err := os.Lstat("/run/systemd/system")
	if err != nil || !info.IsDir() {
		return false
	}
	name, err := os.ReadFile("/proc/1/comm")
	return err == nil && string(name) == "systemd\n"
}
