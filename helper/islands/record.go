package islands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
	"immutray.org/helper/wholefile"
)

// RecordPath is where the machine's record is. The seal reads it, after local file systems are
// mounted.
const RecordPath = "/var/lib/immutray/prepared.json"

// RecordOf returns where the record is for a configuration file that root named; "" is the
// machine's own. With another file not the machine itself is locked, so the record need not
// survive a reboot.
func RecordOf(configFile, stateDir string) string {
	if configFile == "" || configFile == config.Path {
		return RecordPath
	}
	return statedir.Dir(stateDir).Prepared()
}

// maxRecord is more than the paths in a configuration file take.
const maxRecord = 1 << 20

// A Record is about the last lock that froze no island. With it, a machine that is prepared but
// has a new directory differs from one that was never prepared.
type Record struct {
	Paths    []string `json:"paths"`    // the protected paths
	Writable []string `json:"writable"` // the islands of the configuration that existed
}

// ReadRecord reads the record in a file of root's. A missing file is the empty Record: the
// machine was never prepared.
func ReadRecord(file string) (Record, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	var r Record
	if err == nil {
		defer f.Close()
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(f, maxRecord)); err == nil {
			err = json.Unmarshal(data, &r)
		}
	}
	if err != nil {
		return Record{}, fmt.Errorf("cannot read which islands were writable at the last lock: %w", text.Because(err))
	}
	return r, nil
}

// Write replaces the record in a file, unless it says so already.
func (r Record) Write(file string) error {
	if old, err := ReadRecord(file); err == nil && reflect.DeepEqual(old, r) {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = statedir.MakeDir(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = wholefile.Write(file, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot record which islands are writable: %w", text.Because(err))
	}
	return nil
}
