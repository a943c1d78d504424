package writers

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/swaps"
)

// loopDevices returns what stands for each loop device among the PIDs.
func (s *scan) loopDevices() []int {
	names, err := namesAt(unix.AT_FDCWD, filepath.Join(s.sys, "block"))
	if err != nil {
		// No sysfs, as in some containers: then no loop device can be found.
		s.cannotPlace(err)
		return nil
	}
	var loops []int
	for _, name := range names {
		number, isLoop := strings.CutPrefix(name, "loop")
		if n, err := strconv.Atoi(number); isLoop && err == nil {
			loops = append(loops, ofLoop(n))
		}
	}
	return loops
}

func (s *scan) swapFiles() {
	fd, err := openAt(s.proc.root, "swaps", unix.O_RDONLY)
	if gone(err) {
		return // a kernel without swap
	}
	if err != nil {
		s.cannotPlace(err)
		return
	}
	f := os.NewFile(uintptr(fd), "swaps")
	defer f.Close()
	files, err := swaps.Read(f)
	if err != nil {
		s.cannotPlace(err)
	}
	for _, file := range files {
		d, err := locate(file.Path)
		if err != nil {
			s.cannotPlace(err)
			continue
		}
		s.addDevice(d, helper.Writer{Kind: helper.WriterSwap, Path: file.Path})
	}
}

// loopDevice looks at one loop device by its directory in /sys/block.
func (s *scan) loopDevice(name string) {
	dir := filepath.Join(s.sys, "block", name)
	path, attached := backingFile(dir)
	if !attached {
		return
	}
	w := helper.Writer{Kind: helper.WriterLoop, Path: path, Device: filepath.Join("/dev", name)}
	info, err := loopStatus(dir, w.Device)
	switch {
	case err == nil:
		// These flags say how the backing file was opened; the device's own
		// attribute "ro" changes with blockdev --setro, and the file does not.
		if info.Flags&unix.LO_FLAGS_READ_ONLY == 0 {
			s.addDevice(device{unix.Major(info.Device), unix.Minor(info.Device)}, w)
		}
		return
	case errors.Is(err, unix.ENXIO): // detached since
		return
	}
	if readOnly, err := os.ReadFile(filepath.Join(dir, "ro")); err == nil && string(readOnly) == "1\n" {
		return
	}
	d, err := locate(path)
	// What can't be found because it was detached since is not missing.
	if now, _ := backingFile(dir); now != path {
		return
	}
	if err != nil {
		s.cannotPlace(err)
		return
	}
	s.addDevice(d, w)
}

// backingFile returns the path of the file attached to a loop device, as sysfs tells
// it. It is followed by one newline; a newline before is its own.
func backingFile(dir string) (path string, attached bool) {
	data, err := os.ReadFile(filepath.Join(dir, "loop/backing_file"))
	if err != nil {
		return "", false
	}
	return strings.TrimSuffix(string(data), "\n"), true
}

// loopStatus asks the device itself for its backing file's st_dev: the path in sysfs
// means nothing in another mount namespace. It takes the right to open the device,
// and that dir is of the real sysfs.
func loopStatus(dir, path string) (*unix.LoopInfo64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, err
	}
	if fs.Type != unix.SYSFS_MAGIC {
		return nil, fmt.Errorf("%s is not in sysfs", dir)
	}
	number, err := os.ReadFile(filepath.Join(dir, "dev"))
	if err != nil {
		return nil, err
	}
	fd, err := openAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	got := fmt.Sprintf("%d:%d\n", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	if st.Mode&unix.S_IFMT != unix.S_IFBLK || got != string(number) {
		return nil, fmt.Errorf("%s is not the device %s", path, strings.TrimSpace(string(number)))
	}
	return unix.IoctlLoopGetStatus64(fd)
}

func (s *scan) addDevice(d device, w helper.Writer) {
	if !s.targets.holds(d) {
		return
	}
	w.Protected = s.targets.of(d, w.Path)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers = append(s.writers, w)
}

func (s *scan) cannotPlace(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unplaced++
	s.misplaced = cmp.Or(s.misplaced, err)
}
