// Command immutray-helper is the part of Immutray that runs as root: it locks
// and unlocks the operating system, on request and at boot. See package server.
package main

import (
	"os"

	"immutray.org/helper/server"
)

func main() { os.Exit(server.Main(os.Args, os.Stdout, os.Stderr)) }
