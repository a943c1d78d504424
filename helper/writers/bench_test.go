package writers

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// openFiles is how many files the search is measured with (CONTRIBUTING.md, "Tests").
const openFiles = 10_000

// BenchmarkScan has 10,000 files of a protected path open and measures how many times
// faster than "lsof +f -- PATH" the writers are found, as lsof/scan.
func BenchmarkScan(b *testing.B) {
	for _, bench := range []struct {
		name  string
		flags int
		want  int
	}{
		{"OpenToRead", unix.O_RDONLY, 0},
		{"OpenToWrite", unix.O_RDWR, openFiles},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := lab.New(b)
			openMany(b, s.Root, bench.flags)
			// Of both the fastest run counts: what else the machine does can
			// only make one slower.
			var scan, lsof time.Duration = math.MaxInt64, math.MaxInt64
			for range 5 {
				lsof = min(lsof, timeOfLsof(b, s.Root))
			}
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if found := scanAll(b, s); len(found) != bench.want {
					b.Fatalf("Scan found %d writers, want %d", len(found), bench.want)
				}
				scan = min(scan, time.Since(start))
			}
			if lsof < math.MaxInt64 {
				b.ReportMetric(float64(lsof)/float64(scan), "lsof/scan")
				b.ReportMetric(float64(lsof)/float64(time.Millisecond), "lsof-ms")
			}
			b.ReportMetric(float64(scan)/float64(time.Millisecond), "scan-ms")
		})
	}
}

// BenchmarkScanThreads is about a process with many threads, whose descriptors are
// looked through once and not once for each thread.
func BenchmarkScanThreads(b *testing.B) {
	s := lab.New(b)
	openMany(b, s.Root, unix.O_RDONLY)
	release := make(chan struct{})
	defer close(release)
	blocked := make(chan struct{})
	const threads = 200
	for range threads {
		go func() {
			// A read from a pipe by system call keeps a thread.
			var p [2]int
			if unix.Pipe2(p[:], unix.O_CLOEXEC) == nil {
				go func() { <-release; unix.Close(p[1]) }()
			}
			blocked <- struct{}{}
			unix.Read(p[0], make([]byte, 1))
		}()
	}
	for range threads {
		<-blocked
	}
	b.ResetTimer()
	for b.Loop() {
		scanAll(b, s)
	}
	tasks, _ := os.ReadDir("/proc/self/task")
	b.ReportMetric(float64(len(tasks)), "threads")
}

func openMany(b *testing.B, dir string, flags int) {
	b.Helper()
	for i := range openFiles {
		fd, err := unix.Open(filepath.Join(dir, fmt.Sprintf("file-%d", i)), flags|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { unix.Close(fd) })
	}
}

// timeOfLsof is how long lsof takes, infinite where it is missing.
func timeOfLsof(b *testing.B, path string) time.Duration {
	b.Helper()
	if _, err := exec.LookPath("lsof"); err != nil {
		b.Log("lsof is missing (apt install lsof): nothing to compare with")
		return math.MaxInt64
	}
	// It begins by closing every descriptor up to its limit, which is 1024 where it
	// is usually run.
	lsof := exec.Command("sh", "-c", `ulimit -n 1024; exec lsof -w +f -- "$0"`, path)
	start := time.Now()
	// It fails when nothing is found, and says so by printing nothing.
	if _, err := lsof.Output(); err != nil {
		if _, ended := err.(*exec.ExitError); !ended {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}
