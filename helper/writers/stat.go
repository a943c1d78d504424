package writers

import (
	"bytes"
	"strconv"
)

// parseKernelThread reports from /proc/PID/stat (do_task_stat in fs/proc/array.c)
// whether the process is a thread of the kernel:
//
//	2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 ...
//	(1)(2)      (3)...        (9) flags
//
// The name may hold any byte but ends at the last parenthesis.
func parseKernelThread(data []byte) bool {
	const kernelThread = 0x00200000 // PF_KTHREAD in include/linux/sched.h
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return false
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	return err == nil && flags&kernelThread != 0
}
