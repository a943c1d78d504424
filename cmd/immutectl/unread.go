package main

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// waitUnread returns when the other end of f is closed (a pipe without a reader, a
// terminal that is gone), or when ctx ends. Without it a watch whose reader left
// would stay until the next change of the state, which may be days. On a file it
// waits for ctx alone.
func waitUnread(ctx context.Context, f *os.File) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		<-ctx.Done()
		return
	}
	defer unix.Close(wake)
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	// POLLERR and POLLHUP are reported without being asked for (poll(2)).
	fds := []unix.PollFd{{Fd: int32(f.Fd())}, {Fd: int32(wake), Events: unix.POLLIN}}
	for {
		_, err = unix.Poll(fds, -1)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		<-ctx.Done()
	}
	if !stop() {
		<-woken // wake must not be closed, and its number taken by another file, before that write
	}
}
