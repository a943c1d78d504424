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

// RecordPath is where the machine's record is. The seal reads it, for which local file
// systems are mounted.
const RecordPath = "/var/lib/immutray/prepared.json"

// RecordOf returns where the record is for the configuration file that root named, "" for
// the machine's own. With another it is not the machine that is locked, and nothing of it
// has to outlive a restart.
func RecordOf(configFile, stateDir string) string {
	if configFile == "" || configFile == config.Path {
		return RecordPath
	}
	return statedir.Dir(stateDir).Prepared()
}

// maxRecord is more than the paths of a configuration file come to.
const maxRecord = 1 << 20

// A Record is of the last lock that would freeze no island. It tells a machine that is
// prepared to be locked, and has a new directory since, from one that never was.
type Record struct {
	Paths    []string `json:"paths"`    // the protected paths
	Writable []string `json:"writable"` // the islands of the configuration that there were
}

// ReadRecord reads the record in a file of root's. A missing file is the empty Record: no
// lock was ever allowed.
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
