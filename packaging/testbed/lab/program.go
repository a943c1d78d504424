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

var linking sync.Mutex // tests of one process that run at the same time want one program

// Program returns where one of the project's programs is, built as it is shipped: once
// for all the tests of a process.
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
