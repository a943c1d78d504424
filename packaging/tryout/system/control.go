package system

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"immutray.org/helper"
)

// Immutectl runs the installed immutectl as root.
func Immutectl(args ...string) error {
	if out, err := exec.Command("/usr/bin/immutectl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("immutectl %v: %w\n%s", args, err, out)
	}
	return nil
}

// Status returns what the installed immutectl says about the system.
func Status() (helper.Status, error) {
	var status helper.Status
	out, err := exec.Command("/usr/bin/immutectl", "status", "--json").Output()
	if err != nil {
		return status, fmt.Errorf("immutectl status: %w\n%s", err, out)
	}
	return status, json.Unmarshal(out, &status)
}

// Configure writes the person's configuration of the applet; "" removes it.
func (p Person) Configure(text string) error {
	dir := filepath.Join(p.Home(), ".config/immutray")
	if err := os.RemoveAll(dir); err != nil || text == "" {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	for _, name := range []string{dir, path} {
		if err := os.Chown(name, int(p.UID), int(p.GID)); err != nil {
			return err
		}
	}
	return nil
}
