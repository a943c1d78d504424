package writers

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/btrfs"
)

// Senders returns who reads the subvolume at path with "btrfs send", as far as that can be
// found: those that are in that ioctl(2) right now, and have the subvolume's root open. Of
// a writer only the process is told, and the path.
func (s *Scanner) Senders(ctx context.Context, path string) []helper.Writer {
	found, _ := s.scan(ctx, []string{path}, (*process).lookForSend)
	senders := []helper.Writer{}
	for _, w := range found {
		if w.Kind == helper.WriterFile {
			senders = append(senders, w)
		}
	}
	return senders
}

func (p *process) lookForSend() error {
	tasks, err := p.tasks()
	if err != nil {
		return unlessGone(err)
	}
	for _, tid := range tasks {
		if err := p.step(); err != nil {
			return err
		}
		if fd, sends := p.sends(tid); sends {
			p.addSender(tid, fd)
		}
	}
	return nil
}

// sends reports whether a thread is in the ioctl(2) of btrfs send, and on which descriptor.
// A thread that runs just now is not told of (proc_pid_syscall(5)); one that sends waits
// for the disk or for who reads the stream most of the time, and so is asked again.
func (p *process) sends(tid int) (fd string, sends bool) {
	for range 100 {
		text, err := readAt(p.dir, fmt.Sprintf("task/%d/syscall", tid), p.small)
		if err != nil {
			return "", false
		}
		if string(text) != "running\n" {
			return parseSend(text)
		}
		if p.step() != nil {
			return "", false
		}
	}
	return "", false
}

// parseSend reads "16 0x3 0x40489426 0x7ffd5e0 …": a number, in which order the arguments
// stand in registers, the stack and the instruction (proc_pid_syscall in fs/proc/base.c).
func parseSend(text []byte) (fd string, sends bool) {
	fields := strings.Fields(string(text))
	if len(fields) < 3 || fields[0] != strconv.Itoa(unix.SYS_IOCTL) {
		return "", false
	}
	number, err := strconv.ParseUint(fields[1], 0, 32)
	request, requestErr := strconv.ParseUint(fields[2], 0, 64)
	if err != nil || requestErr != nil || uintptr(uint32(request)) != btrfs.SendRequest() {
		return "", false
	}
	return strconv.FormatUint(number, 10), true
}

// addSender records the process if it sends a subvolume that is looked for.
func (p *process) addSender(tid int, fd string) {
	table, err := openAt(p.dir, fmt.Sprintf("task/%d/fd", tid), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return
	}
	defer unix.Close(table)
	f, _, err := statAt(table, fd)
	if err == nil && f.inode == btrfs.RootInode && p.scan.targets.holds(f.device) && !p.seen[f] {
		p.add(helper.WriterFile, f, p.path(table, fd))
	}
}
