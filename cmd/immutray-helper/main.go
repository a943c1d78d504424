// Command immutray-helper is the part of Immutray that runs as root: it locks,
// unlocks and seals the operating system. See package frontdesk.
package main

import (
	"os"

	"immutray.org/helper/frontdesk"
)

func main() { os.Exit(frontdesk.Main(os.Args, os.Stdout, os.Stderr)) }
