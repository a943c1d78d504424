package journal

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timeout is how long to wait for a journal that does not read.
const timeout = time.Second

func sendTo(socket string, e Entry) error {
	if err := send(socket, e); err != nil {
		return fmt.Errorf("cannot write to the journal: %w", err)
	}
	return nil
}

func send(socket string, e Entry) error {
	data, err := encode(e)
	if err != nil {
		return err
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err = conn.Write(data)
	if !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	return sendFile(conn, data)
}

// sendFile passes a record that is too large for a datagram in a sealed memory
// file; a descriptor that could still change is refused by journald.
func sendFile(conn *net.UnixConn, data []byte) error {
	fd, err := unix.MemfdCreate("journal-record", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "journal-record")
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	return passFile(conn, fd)
}

// passFile sends a message that is nothing but a descriptor. (WriteMsgUnix refuses a
// connected datagram socket.)
func passFile(conn *net.UnixConn, fd int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(socket uintptr) bool {
		sent = unix.Sendmsg(int(socket), nil, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
		return !errors.Is(sent, unix.EAGAIN)
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("sendmsg", sent)
}
