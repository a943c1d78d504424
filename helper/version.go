package helper

import "runtime/debug"

// version is set by the linker: the Makefile passes -X immutray.org/helper.version=….
var version string

// Version returns the version that the programs report.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
