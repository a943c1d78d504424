package doctor

import (
	"fmt"
	"path"
	"strings"
)

// These are the commands that findings recommend. Each is one line for root's shell,
// and the tests run them.

// toSubvolume makes a directory a subvolume at the same place, as in the article, and
// mounts that at boot. The old directory stays beside it, as NAME.old. What is copied
// shares its space with the old.
func (f Facts) toSubvolume(p Place) []string {
	if !p.Btrfs || p.UUID == "" {
		return nil
	}
	if p.Subvolume {
		return []string{f.appendFstab(p)}
	}
	// In one mount: between two of them files can't share space before Linux 5.18. Files
	// without copy-on-write, such as the journal's, can't anyway: not --reflink=always.
	at := path.Join(f.Mountpoint, p.Inside)
	return []string{
		"mount -o subvolid=5 UUID=" + p.UUID + " " + quote(f.Mountpoint),
		"btrfs subvolume create " + quote(at+".new"),
		"cp -a --reflink=auto " + quote(at+"/.") + " " + quote(at+".new/"),
		"mv " + quote(at) + " " + quote(at+".old"),
		"mv " + quote(at+".new") + " " + quote(at),
		"umount " + quote(f.Mountpoint),
		f.appendFstab(p),
	}
}

// appendFstab mounts a subvolume of its own at boot.
func (f Facts) appendFstab(p Place) string {
	return f.append("UUID=" + p.UUID + " " + escape(p.Real) + " btrfs subvol=" + escape(p.Inside) + ",defaults,noatime 0 0")
}

func (f Facts) append(line string) string {
	// Not echo: some shells' one interprets backslashes.
	return "printf '%s\\n' " + quote(line) + " >>" + quote(f.Fstab)
}

// replaceFstab replaces one line of fstab.
func (f Facts) replaceFstab(number int, line string) string {
	// GNU sed's c takes the rest of the argument, backslashes doubled.
	return "sed -i " + quote(fmt.Sprintf("%dc\\%s", number, strings.ReplaceAll(line, `\`, `\\`))) + " " + quote(f.Fstab)
}

// moveSwap gives a swap file a subvolume of its own. Swap space has to be remade, as a
// copy would have holes or be compressed (btrfs(5), "Swapfile support").
func (f Facts) moveSwap(s Swap, p Place) []string {
	dir := path.Join(p.Name, "swap")
	file := path.Join(dir, "swapfile")
	swap := Place{Real: dir, UUID: p.UUID, Inside: path.Join(p.Inside, "swap")}
	commands := []string{
		"swapoff " + quote(s.File),
		"rm " + quote(s.File),
		"btrfs subvolume create " + quote(dir),
		f.appendFstab(swap),
		"mount " + quote(dir),
		fmt.Sprintf("btrfs filesystem mkswapfile --size %dk %s", s.KiB+4, quote(file)), // the header is not in /proc/swaps
	}
	line := f.append(escape(file) + " none swap defaults 0 0")
	for _, l := range f.Lines {
		if l.Type == "swap" && unescape(l.Source) == s.File {
			line = f.replaceFstab(l.Number, escape(file)+" none swap defaults 0 0")
		}
	}
	return append(commands, line, "swapon "+quote(file))
}

// quote returns a word for the shell.
func quote(word string) string {
	plain := word != ""
	for _, c := range []byte(word) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/._-+@:,=", c) >= 0) {
			plain = false
		}
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
