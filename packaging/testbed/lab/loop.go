package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// attachLoop binds the image to a free loop device and checks that no other program has taken
// the device. The kernel detaches it when its last user is gone (LO_FLAGS_AUTOCLEAR,
// loop(4)), so a lab that is killed leaves no loop device behind. The caller keeps the
// returned file open until the device is mounted; from then on the mounts keep it.
func attachLoop(image string) (*os.File, error) {
	backing, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], image)
	for {
		device, err := configureFree(control, &config)
		if errors.Is(err, unix.EBUSY) {
			continue // another program took the device that was free a moment ago
		}
		if err != nil {
			return nil, err
		}
		if err := checkBacking(device.Name(), image); err != nil {
			device.Close()
			return nil, err
		}
		return device, nil
	}
}

func configureFree(control *os.File, config *unix.LoopConfig) (*os.File, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("cannot get a free loop device: %w", err)
	}
	path := fmt.Sprintf("/dev/loop%d", number)
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlLoopConfigure(int(device.Fd()), config); err != nil {
		device.Close()
		return nil, &os.PathError{Op: "configure", Path: path, Err: err}
	}
	return device, nil
}

func checkBacking(device, image string) error {
	backing, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "loop/backing_file"))
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(backing)); got != image {
		return fmt.Errorf("%s is backed by %s, not by %s", device, got, image)
	}
	return nil
}
