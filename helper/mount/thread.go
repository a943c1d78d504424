package mount

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnOwnThread does work on a thread that ends with it, so that it may enter other
// namespaces. It is never the process' first: that one would not end, and is what
// /proc/self shows.
func OnOwnThread(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			OnOwnThread(work)
			runtime.UnlockOSThread()
			return
		}
		work() // and the thread is never unlocked
	}()
	<-done
}
