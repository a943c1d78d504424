package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

const valid = "paths = [\"/srv\"]\n"

// nobody is a user that exists everywhere and is not root.
const nobody = 65534

func TestLoad(t *testing.T) {
	dir := lab.Dir(t)
	file := filepath.Join(dir, "config.toml")
	write(t, file, valid)
	got, err := LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Paths = []string{"/srv"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("LoadFile() = %+v, want %+v", got, want)
	}
}

func TestLoadMissing(t *testing.T) {
	dir := lab.Dir(t)
	for _, path := range []string{
		filepath.Join(dir, "config.toml"),
		filepath.Join(dir, "no", "such", "directory", "config.toml"),
	} {
		if _, err := LoadFile(path); !errors.Is(err, ErrRefused) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("LoadFile(%q) = %v, want a refusal because it does not exist", path, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name string
		// make puts something at file, whose directory exists.
		make func(t *testing.T, file string)
		want string
	}{
		{"writable by others", func(t *testing.T, file string) {
			write(t, file, valid)
			chmod(t, file, 0o646)
		}, "config.toml is writable by others than root (chmod go-w "},
		{"writable by the group", func(t *testing.T, file string) {
			write(t, file, valid)
			chmod(t, file, 0o664)
		}, "config.toml is writable by others than root"},
		{"owned by a user", func(t *testing.T, file string) {
			write(t, file, valid)
			chown(t, file)
		}, "config.toml belongs to user 65534, it must belong to root (chown root "},
		{"a symbolic link", func(t *testing.T, file string) {
			write(t, file+".real", valid)
			symlink(t, file+".real", file)
		}, "config.toml is a symbolic link; put the file itself there"},
		{"a dangling symbolic link", func(t *testing.T, file string) {
			symlink(t, file+".nowhere", file)
		}, "config.toml is a symbolic link"},
		{"a directory writable by others", func(t *testing.T, file string) {
			write(t, file, valid)
			chmod(t, filepath.Dir(file), 0o757)
		}, "/below is writable by others than root"},
		{"a directory writable by the group", func(t *testing.T, file string) {
			write(t, file, valid)
			chmod(t, filepath.Dir(file), 0o775)
		}, "/below is writable by others than root"},
		{"a sticky directory, like /tmp", func(t *testing.T, file string) {
			write(t, file, valid)
			chmod(t, filepath.Dir(file), 0o777|os.ModeSticky)
		}, "/below is writable by others than root"},
		{"a directory writable by others, further up, and no file", func(t *testing.T, file string) {
			chmod(t, filepath.Dir(filepath.Dir(file)), 0o757)
		}, " is writable by others than root"},
		{"a directory owned by a user", func(t *testing.T, file string) {
			write(t, file, valid)
			chown(t, filepath.Dir(file))
		}, "/below belongs to user 65534"},
		{"a directory that is a symbolic link", func(t *testing.T, file string) {
			real := filepath.Dir(file) + ".real"
			mkdir(t, real)
			write(t, filepath.Join(real, "config.toml"), valid)
			if err := os.Remove(filepath.Dir(file)); err != nil {
				t.Fatal(err)
			}
			symlink(t, real, filepath.Dir(file))
		}, "below is a symbolic link"},
		{"a directory that is a file", func(t *testing.T, file string) {
			if err := os.Remove(filepath.Dir(file)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Dir(file), "")
		}, "below: not a directory"},
		{"a FIFO", func(t *testing.T, file string) {
			if err := unix.Mkfifo(file, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "config.toml is not a regular file"},
		{"a socket", func(t *testing.T, file string) {
			if err := unix.Mknod(file, unix.S_IFSOCK|0o600, 0); err != nil {
				t.Fatal(err)
			}
		}, "config.toml is not a regular file"},
		{"a directory", func(t *testing.T, file string) {
			mkdir(t, file)
		}, "config.toml is not a regular file"},
		{"2 MiB of garbage", func(t *testing.T, file string) {
			write(t, file, strings.Repeat("\x8f\x00garbage", 2<<20/9))
		}, "config.toml: it is larger than 64 KiB"},
		{"a key mistyped", func(t *testing.T, file string) {
			write(t, file, "\npath = [\"/\"]\n")
		}, "config.toml: line 2: unknown key path; did you mean paths?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(lab.Dir(t), "below")
			mkdir(t, dir)
			file := filepath.Join(dir, "config.toml")
			test.make(t, file)
			_, err := LoadFile(file)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.want) ||
				!strings.HasPrefix(err.Error(), "cannot use "+file+": ") {
				t.Errorf("LoadFile() = %v, want a refusal that says %q", err, test.want)
			}
		})
	}
}

func TestLoadRefusesPath(t *testing.T) {
	for _, path := range []string{"", "config.toml", "/etc/../etc/immutray.toml", "/etc//immutray.toml", "/"} {
		if _, err := LoadFile(path); !errors.Is(err, ErrRefused) {
			t.Errorf("LoadFile(%q) = %v, want a refusal", path, err)
		}
	}
}

func TestLoadAsUser(t *testing.T) {
	dir := lab.Dir(t)
	write(t, filepath.Join(dir, "config.toml"), valid)
	asNobody(t, func() {
		if _, err := LoadFile(filepath.Join(dir, "config.toml")); err != nil {
			t.Errorf("LoadFile() as a user = %v, want nil: the tray reads it too", err)
		}
	})
	chmod(t, filepath.Join(dir, "config.toml"), 0o600)
	asNobody(t, func() {
		if _, err := LoadFile(filepath.Join(dir, "config.toml")); !errors.Is(err, os.ErrPermission) {
			t.Errorf("LoadFile() of an unreadable file = %v, want permission denied", err)
		}
	})
}

// asNobody calls f with the filesystem permissions of a user. The thread ends with the
// goroutine that it stays locked to.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setfsuid(nobody)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func chown(t *testing.T, path string) {
	t.Helper()
	if err := os.Chown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, 0o755)
}
