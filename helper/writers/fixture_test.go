package writers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// tree writes files below a new directory; a name that ends in "/" is a directory, a
// content that starts with "->" a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		dir := filepath.Dir(path)
		if name[len(name)-1] == '/' {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case dir == path:
		case len(content) > 2 && content[:2] == "->":
			err = os.Symlink(content[2:], path)
		default:
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestWithoutMapFiles: a proc without map_files, and whose links have no meaningful
// permissions; both exist in sandboxes.
func TestWithoutMapFiles(t *testing.T) {
	home := t.TempDir()
	held, read := create(t, filepath.Join(home, "held")), create(t, filepath.Join(home, "read"))
	var st unix.Stat_t
	for _, name := range []string{"shared", "private"} {
		create(t, filepath.Join(home, name))
	}
	if err := unix.Stat(filepath.Join(home, "shared"), &st); err != nil {
		t.Fatal(err)
	}
	line := func(perms, name string, inode uint64) string {
		return fmt.Sprintf("00400000-00401000 %s 00000000 00:2a %d    %s\n", perms, inode, filepath.Join(home, name))
	}
	proc := tree(t, map[string]string{
		"12/fd/3":         "->" + held,
		"12/fdinfo/3":     "pos:\t0\nflags:\t0100002\n",
		"12/fd/4":         "->" + read,
		"12/fdinfo/4":     "pos:\t0\nflags:\t0100000\n",
		"12/fd/5":         "->" + held, // closed meanwhile
		"12/comm":         "a)\nb\n",
		"12/cgroup":       "0::/system.slice/twelve.service\n",
		"12/task/12/maps": line("rw-s", "shared", st.Ino) + line("rw-p", "private", st.Ino) + line("rw-s", "private", 1) + line("rw-s", "missing", 2),
		"13/":             "", // gone while it was looked at
		"self/fd/3":       "->" + held,
		"filesystems":     "",
		"14/task/":        "",
		"15/task/15/":     "",
		"15/fd/":          "",
		"16/task/17/":     "",
		"16/task/oops":    "",
	})
	found, err := (&Scanner{Proc: proc, Sys: emptySys(t)}).Scan(t.Context(), []string{home})
	if err != nil {
		t.Fatal(err)
	}
	uid := uint32(os.Getuid())
	writer := helper.Writer{Protected: home, PID: 12, UID: uid, User: userName(int(uid)), Unit: "twelve.service", Program: "a)\nb"}
	file, mapping := writer, writer
	file.Kind, file.Path = helper.WriterFile, held
	mapping.Kind, mapping.Path = helper.WriterMapping, filepath.Join(home, "shared")
	if want := []helper.Writer{file, mapping}; !slices.Equal(found, want) {
		t.Errorf("Scan = %+v, want %+v", found, want)
	}
}

func TestBrokenMaps(t *testing.T) {
	proc := tree(t, map[string]string{"12/fd/": "", "12/task/12/maps": "junk\n"})
	found, err := (&Scanner{Proc: proc, Sys: emptySys(t)}).Scan(t.Context(), []string{t.TempDir()})
	if err != nil || len(found) != 1 || found[0].Kind != helper.WriterUnknown || found[0].PID != 12 {
		t.Errorf("Scan = %+v, %v, want that it is not known of the process", found, err)
	}
}

// TestKernelDevicesByPath is about loop devices and swap files where only their paths
// are known.
func TestKernelDevicesByPath(t *testing.T) {
	home := t.TempDir()
	disk, odd := create(t, filepath.Join(home, "disk.img")), create(t, filepath.Join(home, "line\n"))
	elsewhere := "/proc/version" // on another device, whatever the machine
	loop := func(name, backing, readOnly string) map[string]string {
		return map[string]string{
			"block/" + name + "/loop/backing_file": backing + "\n",
			"block/" + name + "/ro":                readOnly + "\n",
			"block/" + name + "/dev":               "7:0\n",
		}
	}
	files := map[string]string{"block/sda/ro": "0\n", "block/loop9/ro": "0\n"}
	for _, m := range []map[string]string{
		loop("loop0", disk, "0"),
		loop("loop1", disk, "1"),
		loop("loop2", odd, "0"),
		loop("loop3", filepath.Join(home, "gone")+" (deleted)", "0"),
		loop("loop4", "/nowhere/at/all", "0"),
		loop("loop5", elsewhere, "0"),
	} {
		for name, content := range m {
			files[name] = content
		}
	}
	proc := tree(t, map[string]string{"swaps": "Filename\tType\tSize\tUsed\tPriority\n" +
		filepath.Join(home, "disk.img") + " file\t4\t0\t-2\n" +
		elsewhere + " file\t4\t0\t-2\n" +
		"/nowhere/swap\\040file file\t4\t0\t-3\n"})
	found, err := (&Scanner{Proc: proc, Sys: tree(t, files)}).Scan(t.Context(), []string{home})
	want := []helper.Writer{
		{Kind: helper.WriterLoop, Protected: home, Path: disk, Device: "/dev/loop0"},
		{Kind: helper.WriterSwap, Protected: home, Path: disk},
		{Kind: helper.WriterLoop, Protected: home, Path: filepath.Join(home, "gone") + " (deleted)", Device: "/dev/loop3"},
		{Kind: helper.WriterLoop, Protected: home, Path: odd, Device: "/dev/loop2"},
	}
	if !slices.Equal(found, want) {
		t.Errorf("Scan = %+v, want %+v", found, want)
	}
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Processes != 0 || incomplete.Devices != 2 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Scan says %v, want 2 devices left out because their files are not to be found", err)
	}
}

func TestDevicesUnreadable(t *testing.T) {
	tests := []struct {
		name      string
		proc, sys map[string]string
	}{
		{"no sysfs", map[string]string{"1/": ""}, map[string]string{"class/": ""}},
		{"broken list of swap files", map[string]string{"swaps": "Filename\nx\n"}, map[string]string{"block/": ""}},
		{"list of swap files that can't be read", map[string]string{"swaps/": ""}, map[string]string{"block/": ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := (&Scanner{Proc: tree(t, test.proc), Sys: tree(t, test.sys)}).Scan(t.Context(), []string{t.TempDir()})
			var incomplete *IncompleteError
			if !errors.As(err, &incomplete) || incomplete.Devices != 1 || incomplete.Processes != 0 {
				t.Errorf("Scan = %v, want 1 device left out", err)
			}
		})
	}
}

func TestScanRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name    string
		scanner *Scanner
		path    string
	}{
		{"a protected path that is missing", new(Scanner), missing},
		{"no procfs", &Scanner{Proc: missing}, t.TempDir()},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := test.scanner.Scan(t.Context(), []string{test.path})
			var incomplete *IncompleteError
			if found != nil || !errors.Is(err, fs.ErrNotExist) || errors.As(err, &incomplete) {
				t.Errorf("Scan = %+v, %v, want only that something does not exist", found, err)
			}
		})
	}
}

func TestTargetOf(t *testing.T) {
	one, two := device{0, 1}, device{0, 2}
	targets := targets{one: {"/", "/etc", "/etc/deep"}, two: {"/srv"}}
	for _, test := range []struct {
		device     device
		path, want string
	}{
		{one, "/usr/bin/x", "/"},
		{one, "/etc/passwd", "/etc"},
		{one, "/etc/deep/x", "/etc/deep"},
		{one, "/etcetera", "/"},
		{one, "/etc", "/etc"},
		{one, "", "/"}, // a path that the kernel did not tell
		{two, "/anywhere", "/srv"},
	} {
		if got := targets.of(test.device, test.path); got != test.want {
			t.Errorf("of(%v, %q) = %q, want %q", test.device, test.path, got, test.want)
		}
	}
	if targets.holds(device{0, 3}) || !targets.holds(two) {
		t.Error("holds is wrong about a device")
	}
}
