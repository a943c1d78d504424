package writers

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files in testdata were read from real processes on Linux 6.18.

func TestParseFdinfo(t *testing.T) {
	for name, want := range map[string]bool{
		"write": true, "append": true, "nameless": true,
		"read": false, "path": false, "directory": false,
		"fifo": true, "socket": true, "eventfd": true, "eventpoll": true, // the kind of file is for statAt to tell
	} {
		t.Run(name, func(t *testing.T) {
			flags, err := parseFdinfo(testdata(t, "fdinfo-"+name))
			if err != nil {
				t.Fatal(err)
			}
			if got := opensForWriting(flags); got != want {
				t.Errorf("opensForWriting(%#o) = %v, want %v", flags, got, want)
			}
		})
	}
	for _, bad := range []string{"", "pos:\t0\n", "flags:", "flags:\t9\n", "flags:\t-1\n", " flags:\t02\n"} {
		if flags, err := parseFdinfo([]byte(bad)); err == nil {
			t.Errorf("parseFdinfo(%q) = %#o, want an error", bad, flags)
		}
	}
}

func TestOpensForWriting(t *testing.T) {
	for flags, want := range map[uint64]bool{
		0o0: false, 0o1: true, 0o2: true, 0o3: false,
		0o100001: true, 0o10000001: false, 0o10000002: false, 0o22300002: true,
	} {
		if got := opensForWriting(flags); got != want {
			t.Errorf("opensForWriting(%#o) = %v, want %v", flags, got, want)
		}
	}
}

func TestEachMapping(t *testing.T) {
	type mapped struct {
		link  string
		inode uint64
		write bool
		path  string
	}
	for name, want := range map[string]mapped{
		"0": {"7f7aade1d000-7f7aade1e000", 259, true, "with blanks "},
		"1": {"7fca433fc000-7fca433fd000", 260, false, "line\nbreak"},
		"2": {"7f2413b3e000-7f2413b3f000", 261, true, "bytes \xff\xfe"},
		"3": {"7f29307fa000-7f29307fb000", 262, false, "gone (deleted)"},
	} {
		var got []mapped
		err := eachMapping(reader(testdata(t, "maps-"+name)), func(m mapping) error {
			if dir, base := filepath.Split(m.unescapedPath()); strings.HasPrefix(dir, "/mnt/system") {
				got = append(got, mapped{m.link(), m.inode, m.writesThrough(), base})
			}
			return nil
		})
		if err != nil || !slices.Equal(got, []mapped{want}) {
			t.Errorf("eachMapping(maps-%s) = %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestEachMappingWithoutFiles(t *testing.T) {
	const maps = "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon\n" +
		"00000000-00001000 r--s 00000000 00:01 1024       /dev/zero (deleted)\n" +
		"e03000-e24000 rw-p 00000000 00:00 0           [heap]\n" +
		"7ffd000-7ffe000 rw-p 00000000 00:00 0 \n" +
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]"
	var links []string
	var inodes []uint64
	if err := eachMapping(reader([]byte(maps)), func(m mapping) error {
		links = append(links, m.link())
		inodes = append(inodes, m.inode)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wantLinks := []string{"400000-452000", "0-1000", "e03000-e24000", "7ffd000-7ffe000", "ffffffffff600000-ffffffffff601000"}
	if !slices.Equal(links, wantLinks) || !slices.Equal(inodes, []uint64{173521, 1024, 0, 0, 0}) {
		t.Errorf("eachMapping = %q %d, want %q", links, inodes, wantLinks)
	}
}

// A line longer than the buffer is one mapping, and the next line is the next.
func TestEachMappingWithALongPath(t *testing.T) {
	for _, size := range []int{maxMapsLine - 20, maxMapsLine, 3*maxMapsLine + 5} {
		maps := "1-2 rw-s 0 0:0 5 /" + strings.Repeat("x", size) + "\n3-4 r--p 0 0:0 6 /f\n"
		var inodes []uint64
		err := eachMapping(reader([]byte(maps)), func(m mapping) error {
			inodes = append(inodes, m.inode)
			return nil
		})
		if err != nil || !slices.Equal(inodes, []uint64{5, 6}) {
			t.Errorf("with %d bytes, eachMapping = %v, %v, want 5 and 6", size, inodes, err)
		}
	}
}

func TestEachMappingRefuses(t *testing.T) {
	for _, bad := range []string{
		"\n", "junk\n", "1-2 rw-s 0 0:0\n", "1-2 rw-s 0 0:0 x /f\n", "1-2 rw 0 0:0 5 /f\n",
		"1 rw-s 0 0:0 5 /f\n", "-2 rw-s 0 0:0 5 /f\n", "../x-2 rw-s 0 0:0 5 /f\n", "1-/2 rw-s 0 0:0 5 /f\n",
	} {
		if err := eachMapping(reader([]byte(bad)), func(mapping) error { return nil }); err == nil {
			t.Errorf("eachMapping(%.40q) succeeded", bad)
		}
	}
}

func TestParseUnit(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"container", string(testdata(t, "cgroup-v1-container")), ""},
		{"system service", "0::/system.slice/cron.service\n", "cron.service"},
		{"session", "0::/user.slice/user-1000.slice/session-2.scope\n", "session-2.scope"},
		{"user service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope\n", "vte-spawn-1.scope"},
		{"below a user service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo@autostart.service\n", "app-foo@autostart.service"},
		{"delegated", "0::/system.slice/containerd.service/kubepods/pod1\n", "containerd.service"},
		{"docker", "0::/system.slice/docker-0f3a.scope\n", "docker-0f3a.scope"},
		{"PID 1", "0::/init.scope\n", "init.scope"},
		{"root", "0::/\n", ""},
		{"slice only", "0::/user.slice\n", ""},
		{"v1", "12:devices:/system.slice/other.service\n1:name=systemd:/system.slice/ssh.service\n", "ssh.service"},
		{"hybrid", "1:name=systemd:/system.slice/ssh.service\n0::/system.slice/ssh.service\n", "ssh.service"},
		{"hybrid, v2 unused", "1:name=systemd:/system.slice/ssh.service\n0::/\n", "ssh.service"},
		{"another hierarchy only", "3:cpu,cpuacct:/system.slice/ssh.service\n", ""},
		{"escaped", "0::/system.slice/_memory.service\n", "memory.service"},
		{"removed", "0::/system.slice/ssh.service (deleted)\n", "ssh.service"},
		{"outside our namespace", "0::/../../system.slice/ssh.service\n", "ssh.service"},
		{"colons", "0::/system.slice/a:b.service\n", "a:b.service"},
		{"template with escapes", `0::/system.slice/systemd-fsck@dev-disk-by\x2duuid-1.service` + "\n", `systemd-fsck@dev-disk-by\x2duuid-1.service`},
		{"empty", "", ""},
		{"junk", "x\n0:\n::\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := parseUnit([]byte(test.data)); got != test.want {
				t.Errorf("parseUnit(%q) = %q, want %q", test.data, got, test.want)
			}
		})
	}
}

func TestParseKernelThread(t *testing.T) {
	for data, want := range map[string]bool{
		string(testdata(t, "stat-kthread")):                           true,
		string(testdata(t, "stat-program")):                           false,
		"9 (x) S 0 0 0 0 -1 2129984) S 1 1 1 1":                       false,
		"9 (kthreadd) S 0 0 0 0 -1 2129984 0) S 1 1 1 1 -1 4194304 0": false,
		"": false, "9 x": false, "9 (x": false, "9 (x) S 0 0 0 0 -1 y": false,
	} {
		if got := parseKernelThread([]byte(data)); got != want {
			t.Errorf("parseKernelThread(%q) = %v, want %v", data, got, want)
		}
	}
}

func FuzzParseFdinfo(f *testing.F) {
	seed(f, "fdinfo-*")
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parseFdinfo(data); err == nil && !bytes.Contains(data, []byte("flags:")) {
			t.Error("flags out of nowhere")
		}
	})
}

func FuzzEachMapping(f *testing.F) {
	seed(f, "maps-*")
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := bytes.Count(data, []byte("\n")) + 1
		eachMapping(reader(data), func(m mapping) error {
			lines--
			// The name goes into a path, so it must not lead anywhere else.
			if name := m.link(); strings.Trim(name, "0123456789abcdef") != "-" {
				t.Errorf("link() = %q", name)
			}
			m.unescapedPath()
			m.writesThrough()
			return nil
		})
		if lines < 0 {
			t.Error("more mappings than lines")
		}
	})
}

func FuzzParseUnit(f *testing.F) {
	seed(f, "cgroup-*")
	f.Add([]byte("1:name=systemd:/system.slice/ssh.service\n0::/user@1000.service/_app-\xff.scope (deleted)\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		unit := parseUnit(data)
		if strings.ContainsAny(unit, "/\n") || unit != "" && !bytes.Contains(data, []byte(unit)) {
			t.Errorf("parseUnit = %q", unit)
		}
	})
}

func FuzzParseKernelThread(f *testing.F) {
	seed(f, "stat-*")
	f.Fuzz(func(t *testing.T, data []byte) { parseKernelThread(data) })
}

func seed(f *testing.F, pattern string) {
	f.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func reader(data []byte) *bufio.Reader {
	return bufio.NewReaderSize(bytes.NewReader(data), maxMapsLine)
}
