package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"immutray.org/helper/mount"
)

// These are the commands that findings recommend, for root's shell. The tests run them.
//
// What takes more than one command is a block: it stops at the first that fails, takes
// back what it has done, and leaves nothing mounted. The rename of fstab is the last
// step, and the one that counts. A shell at a terminal makes something else of a comment, a
// tab and a "!" than one in a script, and root's has aliases that ask (cp -i, mv -i) and may
// refuse to write over files: a block has none of the first, and says what it wants.

// A block is the lines of one, so far.
type block []string

// render makes a subshell of it: "exit" ends the block, not the shell that it is pasted
// into.
func (b block) render() string {
	return "(\nset -e\nstop() { echo \"$1\" >&2; exit 1; }\n" + strings.Join(b, "\n") + "\n)"
}

// workshop begins a block that works in a directory of its own, and takes undo() back
// with it.
func (f Facts) workshop() block {
	return block{
		"fstab=" + quote(f.Fstab),
		"dir=$(mktemp -d " + quote(path.Join(f.Scratch, "immutray.XXXXXX")) + ")",
		"undo() { :; }",
		"trap 'set +e; cd /; undo; umount -q $dir/try; umount -q $dir/top; rm -f $dir/fstab \"$fstab.immutray\"; rmdir $dir/*/ $dir' EXIT",
		"trap 'exit 1' HUP INT TERM",
		"mkdir $dir/top $dir/try",
	}
}

// alone stops a block where running programs would go on in the old directory.
// In rescue mode multi-user.target is not active, and where there is no systemd, or another
// one's in a chroot, nothing is said of it.
func alone() string {
	return `if [ "$(systemctl is-active multi-user.target 2>/dev/null)" = active ]; then stop 'Programs are running: do this in rescue mode ("systemctl rescue").'; fi`
}

// top mounts the whole file system, in the workshop.
func top(p Place) string { return "mount -t btrfs -o subvolid=5 UUID=" + p.UUID + " $dir/top" }

// inTop is the shell's word for a path in the file system that top has mounted.
func inTop(inside string) string { return "$dir/top" + quote(inside) }

// ownSubvolume gives a directory a subvolume of its own beside that of the protected path,
// and mounts it there at boot. The old directory stays where it is, below that mount. What
// is copied shares its space with the old.
func (f Facts) ownSubvolume(p Place) string {
	root := f.protectedPath(p.Point)
	p.UUID = root.UUID
	sibling := f.sibling(root, p.Real)
	was, is := inTop(p.Inside), inTop(sibling)
	b := append(f.workshop(), alone(), top(p))
	if p.Subvolume {
		// A subvolume is renamed as a whole, whatever lies in it.
		b = append(b,
			"if [ -e "+is+" ]; then stop "+quote("There is a "+sibling+" already.")+"; fi",
			"mv -T "+was+" "+is,
			"undo() { rmdir "+was+"; mv -T "+is+" "+was+"; }",
			"mkdir "+was,
			"chown --reference="+is+" "+was,
			"chmod --reference="+is+" "+was,
		)
	} else {
		// Files without copy-on-write, such as the journal's, can't share their space: not
		// --reflink=always. With -x what else is mounted there stays an empty directory.
		b = append(b,
			"btrfs subvolume create "+is,
			"undo() { btrfs subvolume delete "+is+"; }",
			"cp -ax --reflink=auto "+was+"/. "+is+"/",
		)
	}
	b = append(b, f.addMount(p, sibling)...)
	return append(b, commit()...).render()
}

// addMount puts a line for a subvolume into the copy of fstab, and tries it.
func (f Facts) addMount(p Place, subvolume string) block {
	options := f.mountOptions(p, subvolume)
	b := block{
		`[ "$(grep -c ` + quote(`^[[:blank:]]*[^#[:blank:]][^[:blank:]]*[[:blank:]][[:blank:]]*`+pattern(escape(p.Real))+`[[:blank:]]`) + ` "$fstab")" = 0 ] || stop ` +
			quote(f.Fstab+" has a line for "+p.Real+" already."),
		"mount -t btrfs -o " + quote(options) + " UUID=" + p.UUID + " $dir/try",
		"umount $dir/try",
	}
	var before string
	if l := f.firstBelow(p.Real); l != nil {
		before = l.Text
	}
	return append(b, f.editFstab(before, "i", []string{"UUID=" + p.UUID + " " + escape(p.Real) + " btrfs " + escape(options) + " 0 0"})...)
}

// firstBelow returns the first line of fstab for a mount below a point: the mounts are
// made in this order where no systemd sorts them.
func (f Facts) firstBelow(point string) *FstabLine {
	for i := range f.Lines {
		if isBelow(f.Lines[i].Point, point) {
			return &f.Lines[i]
		}
	}
	return nil
}

// mountOptions are those that the protected path has at boot, without those that belong to
// the path alone.
func (f Facts) mountOptions(p Place, subvolume string) string {
	options := []string{"subvol=" + subvolume}
	if l := f.line(p.Point); l != nil && l.Type == "btrfs" {
		for _, o := range l.Options {
			name, _, _ := strings.Cut(o, "=")
			if !slices.Contains([]string{"subvol", "subvolid", "ro", "rw", "noauto", "nofail"}, name) && !strings.HasPrefix(name, "x-") {
				options = append(options, mount.Unescape(o))
			}
		}
	}
	if len(options) == 1 {
		options = append(options, "defaults")
	}
	return strings.Join(options, ",")
}

// editFstab makes a copy of fstab with new lines in it, before the line old ("i") or in
// its place ("c"); at the end where old is "". The copy keeps owner, mode and labels.
func (f Facts) editFstab(old, how string, lines []string) block {
	words := make([]string, len(lines))
	script := "sed"
	for i, line := range lines {
		words[i] = quote(line)
		command := how
		if i < len(lines)-1 {
			command = "i" // several lines in place of one
		}
		// GNU sed takes the rest of the argument, backslashes doubled.
		script += " -e " + quote("/^"+pattern(old)+"$/"+command+`\`+strings.ReplaceAll(line, `\`, `\\`))
	}
	fill := script + ` "$fstab" >|"$fstab.immutray"`
	if old == "" {
		// The first command ends a last line that has no newline.
		fill = `{ sed -e '$a\' "$fstab"; cat $dir/fstab; } >|"$fstab.immutray"`
	}
	return block{
		"printf '%s\\n' " + strings.Join(words, " ") + " >$dir/fstab",
		"findmnt --verify --tab-file $dir/fstab",
		`cp -a "$fstab" "$fstab.immutray"`,
		fill,
		fmt.Sprintf(`[ "$(grep -cxF -f $dir/fstab "$fstab.immutray")" = %d ] || stop %s`, len(lines),
			quote(f.Fstab+" is not what it was: run immutectl doctor again.")),
	}
}

// commit makes the copy of fstab the file, once all that it names is on the disk: a power
// cut leaves either the one or the other (rename(2)).
func commit() block {
	return block{
		"if mountpoint -q $dir/top; then btrfs filesystem sync $dir/top; fi",
		`mv -f "$fstab.immutray" "$fstab"`,
		"undo() { :; }",
	}
}

// addTmpfs mounts a tmpfs at boot.
func (f Facts) addTmpfs(point string) string {
	b := append(f.workshop(), f.editFstab("", "", []string{"tmpfs " + point + " tmpfs mode=1777,nosuid,nodev 0 0"})...)
	return append(b, commit()...).render()
}

// mountThere mounts a subvolume at boot at the place where it lies.
func (f Facts) mountThere(p Place) string {
	return append(append(f.workshop(), f.addMount(p, p.Inside)...), commit()...).render()
}

// replaceLine changes one line of fstab.
func (f Facts) replaceLine(l FstabLine, line string) string {
	return append(append(f.workshop(), f.editFstab(l.Text, "c", []string{line})...), commit()...).render()
}

// moveSwap gives a swap file a subvolume of its own. Swap space has to be made again, as a
// copy would have holes or be compressed (btrfs(5), "Swapfile support"). The old file
// goes last, when the new one is in use.
func (f Facts) moveSwap(s Swap, root *Path, l FstabLine) string {
	sibling := f.sibling(root, "/swap")
	at := Place{Name: f.SwapPoint, Real: f.SwapPoint, Point: root.Name, UUID: root.UUID}
	file := path.Join(f.SwapPoint, "swapfile")
	is := inTop(sibling)
	options := f.mountOptions(at, sibling)
	fields := strings.Fields(l.Text)
	fields[0] = escape(file)
	b := append(f.workshop(), top(root.Place),
		"btrfs subvolume create "+is,
		"undo() { btrfs subvolume delete "+is+"; }",
		"mkdir "+quote(f.SwapPoint),
		"undo() { umount -q "+quote(f.SwapPoint)+"; rmdir "+quote(f.SwapPoint)+"; btrfs subvolume delete "+is+"; }",
		"mount -t btrfs -o "+quote(options)+" UUID="+root.UUID+" "+quote(f.SwapPoint),
		// The header is not in /proc/swaps.
		fmt.Sprintf("btrfs filesystem mkswapfile --size %dk %s", s.KiB+4, quote(file)),
		"swapon "+quote(file),
		"undo() { swapoff "+quote(file)+"; umount -q "+quote(f.SwapPoint)+"; rmdir "+quote(f.SwapPoint)+"; btrfs subvolume delete "+is+"; }",
	)
	b = append(b, f.editFstab(l.Text, "c", []string{
		"UUID=" + root.UUID + " " + escape(f.SwapPoint) + " btrfs " + escape(options) + " 0 0",
		strings.Join(fields, " "),
	})...)
	b = append(b, commit()...)
	return append(b, "swapoff "+quote(s.File), "rm -f "+quote(s.File)).render()
}

// leaveOut writes a configuration that protects these paths, where there is none yet.
func (f Facts) leaveOut(paths []string) string {
	words := make([]string, len(paths))
	for i, p := range paths {
		words[i] = fmt.Sprintf("%q", p)
	}
	dir := path.Dir(f.Settings.File)
	return block{
		"umask 022",
		"mkdir -p " + quote(dir),
		"set -C", // a file that has come meanwhile stays
		"printf '%s\\n' " + quote("paths = ["+strings.Join(words, ", ")+"]") + " >" + quote(f.Settings.File),
	}.render()
}
