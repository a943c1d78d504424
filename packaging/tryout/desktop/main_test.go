package desktop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"immutray.org/packaging/testbed/lab"
	"immutray.org/packaging/tryout/pkexec"
	"immutray.org/packaging/tryout/system"
)

// stagedVariable has the directory into which the programs were installed.
const stagedVariable = "IMMUTRAY_PRACTICE_STAGED"

// failedDir is where tests leave pictures of what went wrong: build/failed of the
// tree.
const failedDir = system.RunDir + "/failed"

// The programs are built and installed into a practice system, and the tests run with it
// as their root directory. Where that can't be, they run outside, and requirePractice skips
// them, or fails them when CI=true.
func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if pkexec.Invoked() {
		return pkexec.Main(system.Authority, os.Args[1:])
	}
	if lab.Unusable() != nil {
		return m.Run()
	}
	if os.Getenv(stagedVariable) == "" {
		staged, err := stage()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(staged)
		os.Setenv(stagedVariable, staged)
	}
	staged := os.Getenv(stagedVariable)
	code, inside := lab.Enter()
	if !inside {
		return code
	}
	err := system.Become(system.Options{
		Staged: filepath.Join(staged, "root"),
		Pkexec: "/proc/self/exe",
		Person: system.DefaultPerson(),
		Keep:   append(testFiles(os.Args[1:]), system.Kept{Source: filepath.Join(staged, "failed"), Target: failedDir}),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// requirePractice ends a test that is not in a practice system.
func requirePractice(t testing.TB) {
	t.Helper()
	if err := lab.Unusable(); err != nil {
		lab.Unavailable(t, err.Error())
	}
}

// stage builds the programs and installs them into a directory of their own. Next
// to them it puts a way to the tree's directory for pictures of failures.
func stage() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module: %w", err)
	}
	module := strings.TrimSpace(string(out))
	failed := filepath.Join(module, "build/failed")
	if err := os.MkdirAll(failed, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "immutray-staged")
	if err != nil {
		return "", err
	}
	// Not built into the tree: other tests build at the same time.
	cmd := exec.Command("make", "--no-print-directory", "-C", module, "build", "install",
		"BUILD="+filepath.Join(dir, "build"), "DESTDIR="+filepath.Join(dir, "root"))
	out, err = cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("cannot install the programs: %w\n%s", err, out)
	} else {
		err = os.Symlink(failed, filepath.Join(dir, "failed"))
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// testFiles returns the directories that "go test" wants its test program to write
// to, such as the log of what it opened.
func testFiles(args []string) []system.Kept {
	var dirs []system.Kept
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(strings.TrimLeft(name, "-"), "test.") && filepath.IsAbs(value) {
			dirs = append(dirs, system.KeptInPlace(filepath.Dir(value)))
		}
	}
	return dirs
}
