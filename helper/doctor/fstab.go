package doctor

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"immutray.org/helper/mount"
)

// A FstabLine is one mount of fstab(5):
//
//	UUID=… /etc btrfs subvol=/@/etc,ro 0 0
//	(1)    (2)  (3)   (4)
type FstabLine struct {
	Number  int      // from 1
	Text    string   // as it stands there
	Source  string   // (1) as it stands there
	Point   string   // (2) with its escapes undone
	Type    string   // (3)
	Options []string // (4)
}

// parseFstab reads an fstab. Lines that name no mount are left out.
func parseFstab(r io.Reader) ([]FstabLine, error) {
	var found []FstabLine
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[0][0] == '#' {
			continue
		}
		l := FstabLine{Number: number, Text: lines.Text(), Source: fields[0], Point: mount.Unescape(fields[1]), Type: fields[2]}
		if len(fields) > 3 {
			l.Options = strings.Split(fields[3], ",")
		}
		found = append(found, l)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read fstab: %w", err)
	}
	return found, nil
}

// superblockReadOnly reports whether the line has ro as a plain word, without a later
// rw: the last one counts.
func (l FstabLine) superblockReadOnly() bool {
	readOnly := false
	for _, o := range l.Options {
		switch o {
		case "ro":
			readOnly = true
		case "rw":
			readOnly = false
		}
	}
	return readOnly
}

// lateOption returns the option by which the mount may come after local-fs.target, or
// "". The last word on it counts; an automount is there in time (systemd.mount(5)).
func (l FstabLine) lateOption() string {
	late := map[string]bool{}
	for _, o := range l.Options {
		switch o {
		case "noauto", "nofail":
			late[o] = true
		case "auto", "fail":
			late["no"+o] = false
		case "x-systemd.automount":
			return ""
		}
	}
	for _, o := range []string{"noauto", "nofail"} {
		if late[o] {
			return o
		}
	}
	return ""
}

// withOption returns the line with its option ro replaced.
func (l FstabLine) withOption(option string) string {
	options := slices.Clone(l.Options)
	for i, o := range options {
		if o == "ro" {
			options[i] = option
		}
	}
	return l.withOptions(options)
}

func (l FstabLine) withOptions(options []string) string {
	fields := strings.Fields(l.Text)
	fields[3] = strings.Join(options, ",")
	return strings.Join(fields, " ")
}

// subvolume returns the path that the option subvol names, from the top of the file
// system, and whether there is one. The last counts.
func (l FstabLine) subvolume() (string, bool) {
	value, ok := l.option("subvol")
	return path.Join("/", mount.Unescape(value)), ok
}

func (l FstabLine) option(name string) (value string, ok bool) {
	for _, o := range l.Options {
		if v, found := strings.CutPrefix(o, name+"="); found {
			value, ok = v, true
		}
	}
	return value, ok
}

// escape is the opposite of [mount.Unescape].
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(" \t\n\\#", s[i]) >= 0 {
			fmt.Fprintf(&b, "\\%03o", s[i])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
