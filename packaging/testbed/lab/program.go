package lab

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var linking sync.Mutex // parallel tests of one process may want the same program

// Program returns the path of one of the project's programs. It is built as it is shipped,
// once for all tests of a process.
func Program(t testing.TB, name string) string {
	t.Helper()
	requireInside(t)
	linking.Lock()
	defer linking.Unlock()
	program := filepath.Join(Base, "programs", name)
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program
	}
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "immutray.org/cmd/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	return program
}
