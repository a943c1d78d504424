package writers

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// allMappings finds the files that are mapped and were opened for writing. All
// threads share the mappings; but a thread that has ended has none, even if it is the
// first one and the process goes on without it.
func (p *process) allMappings(tasks []int, told func(mapping) bool) error {
	for _, tid := range tasks {
		// A process may end while its mappings are read, half of them seen.
		any, err := p.mappings(tid, told)
		if err = unlessGone(err); err != nil || any {
			return err
		}
	}
	return nil
}

// mappings looks at the mappings of a task that are to be told and reports whether there are any. A
// mapping keeps the file open that it was made from, also when the descriptor is
// closed; and a file that was opened for writing keeps its mount writable whatever
// the mapping allows (TestVerdictIsTheKernels).
func (p *process) mappings(tid int, told func(mapping) bool) (any bool, err error) {
	maps, err := openAt(p.dir, "task/"+strconv.Itoa(tid)+"/maps", unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	p.visit.step()
	f := os.NewFile(uintptr(maps), "maps")
	defer f.Close()
	const unopened, missing = -2, -1
	links := unopened // most processes have nothing that is to be looked up
	defer func() {
		if links >= 0 {
			unix.Close(links)
		}
	}()
	p.lines.Reset(f)
	err = eachMapping(p.lines, func(m mapping) error {
		any = true
		switch {
		case m.inode == 0 || !told(m): // no file, or none of interest
			return p.step()
		case links == unopened:
			// Below task there is no map_files; the directory of a thread, which /proc
			// does not list, has it.
			if links, err = openAt(p.scan.proc.fresh, strconv.Itoa(tid)+"/map_files", unix.O_PATH|unix.O_DIRECTORY); err != nil {
				links = missing
			}
		}
		if links == missing {
			p.mappingByPath(m)
		} else {
			p.mapping(links, m)
		}
		return p.step()
	})
	return any, err
}

// mapping looks at one mapping by its link in map_files.
func (p *process) mapping(links int, m mapping) {
	name := m.link()
	var link unix.Stat_t
	if err := unix.Fstatat(links, name, &link, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return
	}
	// The link has the bit w when the file was opened for writing
	// (proc_map_files_instantiate in fs/proc/base.c). In a procfs that is not
	// fresh the bit may be of an earlier mapping; "rw-s" never lies.
	if link.Mode&unix.S_IWUSR == 0 && !m.writesThrough() {
		return
	}
	path := p.path(links, name)
	f, regular, err := statAt(links, name)
	if errors.Is(err, unix.EPERM) {
		// Following the link takes CAP_CHECKPOINT_RESTORE, even for one's own.
		f, regular, err = statMapped(path, m.inode)
	}
	if err == nil && regular && p.scan.targets.holds(f.device) && !p.seen[f] {
		p.add(helper.WriterMapping, f, path)
	}
}

// mappingByPath looks at one mapping where the kernel has no map_files. Only a
// mapping that writes to its file is then known to keep it open for writing.
func (p *process) mappingByPath(m mapping) {
	if !m.writesThrough() {
		return
	}
	path := m.unescapedPath()
	f, regular, err := statMapped(path, m.inode)
	if err == nil && regular && p.scan.targets.holds(f.device) && !p.seen[f] {
		p.add(helper.WriterMapping, f, path)
	}
}

// statMapped is statAt for the path of a mapping: what has that path by now must
// still be the file with that inode.
func statMapped(path string, inode uint64) (file, bool, error) {
	f, regular, err := statAt(unix.AT_FDCWD, path)
	if err == nil && f.inode != inode {
		err = unix.ENOENT
	}
	return f, regular, err
}
