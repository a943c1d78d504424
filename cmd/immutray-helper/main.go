// Command immutray-helper is the part of Immutray that runs as root: it locks
// and unlocks the operating system, on request and at boot. See package frontdesk.
package main

import (
	"os"

	"immutray.org/helper/frontdesk"
)

func main() { os.Exit(frontdesk.Main(os.Args, os.Stdout, os.Stderr)) }
