// Immutray shows in the desktop's tray whether the operating system is locked, and
// locks and unlocks it.
package main

import (
	"os"

	"immutray.org/tray"
)

func main() { os.Exit(tray.Main(os.Args[1:], os.Stdout, os.Stderr)) }
