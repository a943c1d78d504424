// Package sandbox says which mounts the sandbox of a service wants to be read-only,
// from the settings of its unit (systemd.exec(5)). It goes by what systemd does with them
// (namespace_calculate_mounts and apply_mounts in its src/core/namespace.c):
//
// Every setting becomes a path and what is to hold from there downwards, until another
// path says otherwise. What is no mount point becomes one, a mount of that directory over
// itself. Among settings for the same path the one for read-only wins. Nothing that was
// read-only already is made writable: so a service that was started while the system was
// locked keeps the flag also where its sandbox does not ask for it.
package sandbox

import (
	"path"
	"strings"
)

// Settings are those of a unit that make mounts read-only or keep them writable, as
// org.freedesktop.systemd1(5) has them. Paths may begin with "-" and "+".
type Settings struct {
	ProtectSystem, ProtectHome       string
	RootDirectory, RootImage         string
	ReadWritePaths, ReadOnlyPaths    []string
	InaccessiblePaths, ExecPaths     []string
	NoExecPaths                      []string
	BindPaths, BindReadOnlyPaths     []string // the destinations
	ConfigurationDirectory           []string // below /etc
	RuntimeDirectory, StateDirectory []string // below /run and /var/lib
	CacheDirectory, LogsDirectory    []string // below /var/cache and /var/log
	// Private is whether any other setting gives the unit a mount namespace of its own,
	// such as PrivateTmp=.
	Private bool
}

// A Sandbox is what a service sees of the file system.
type Sandbox struct {
	rules   map[string]rule // by path
	private bool
}

// A rule holds for a path and what is below it.
type rule struct {
	readOnly bool
	silent   bool // it says nothing of that: what is above decides
	tree     bool // mounts below came with it
}

// The paths of ProtectSystem= and ProtectHome= (the tables in src/core/namespace.c). /lib
// and the like are there on systems without a merged /usr.
var (
	system = []string{"/usr", "/boot", "/efi", "/lib", "/lib64", "/bin", "/sbin"}
	homes  = []string{"/home", "/run/user", "/root"}
	kernel = []string{"/proc", "/sys", "/dev"}
)

// New returns the sandbox that settings make.
func New(s Settings) Sandbox {
	b := Sandbox{rules: map[string]rule{}, private: s.Private}
	for _, list := range []struct {
		paths []string
		rule  rule
	}{
		{s.inside(s.ReadWritePaths), rule{}},
		{s.inside(s.ReadOnlyPaths), rule{readOnly: true}},
		{s.inside(s.InaccessiblePaths), rule{readOnly: true}},
		{s.inside(s.ExecPaths), rule{silent: true}},
		{s.inside(s.NoExecPaths), rule{silent: true}},
		{s.BindPaths, rule{tree: true}},
		{s.BindReadOnlyPaths, rule{readOnly: true, tree: true}},
		{below("/etc", s.ConfigurationDirectory), rule{}},
		{below("/run", s.RuntimeDirectory), rule{}},
		{below("/var/lib", s.StateDirectory), rule{}},
		{below("/var/cache", s.CacheDirectory), rule{}},
		{below("/var/log", s.LogsDirectory), rule{}},
	} {
		for _, p := range list.paths {
			b.add(p, list.rule)
		}
	}
	if s.RootDirectory != "" || s.RootImage != "" {
		b.add("/", rule{tree: true})
	}
	b.protectHome(s.ProtectHome)
	b.protectSystem(s.ProtectSystem)
	return b
}

// inside returns what paths are called inside. A path may begin with "-", if it need not
// exist, and then with "+", if it is below the unit's own root directory. Where there is
// one, a path without "+" is the host's, and counts for nothing outside that directory
// (drop_outside_root).
func (s Settings) inside(paths []string) []string {
	var all []string
	for _, p := range paths {
		p, own := strings.CutPrefix(strings.TrimPrefix(p, "-"), "+")
		if !own && (s.RootDirectory != "" || s.RootImage != "") {
			root := strings.TrimSuffix(path.Clean("/"+s.RootDirectory), "/")
			below, ok := strings.CutPrefix(path.Clean(p)+"/", root+"/")
			if !ok || s.RootDirectory == "" {
				continue
			}
			p = "/" + below
		}
		all = append(all, p)
	}
	return all
}

func below(dir string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		name, _, _ = strings.Cut(name, ":") // what follows is a link to it
		paths[i] = dir + "/" + name
	}
	return paths
}

// add adds a rule. With an earlier one for the same path it is as read-only as the
// stricter of them (drop_duplicates).
func (b *Sandbox) add(name string, r rule) {
	if !path.IsAbs(name) {
		return
	}
	name = path.Clean(name)
	if had, ok := b.rules[name]; ok {
		r.readOnly = r.readOnly || had.readOnly
		r.silent = r.silent && had.silent && !r.readOnly
		r.tree = r.tree || had.tree
	}
	b.rules[name] = r
}

func (b *Sandbox) protectHome(how string) {
	if how == "" || how == "no" {
		return
	}
	for _, p := range homes {
		b.add(p, rule{readOnly: true})
	}
}

func (b *Sandbox) protectSystem(how string) {
	switch how {
	case "strict":
		b.add("/", rule{readOnly: true})
		for _, p := range append(homes, kernel...) {
			if _, ok := b.rules[p]; !ok { // the weakest of all
				b.add(p, rule{})
			}
		}
		return
	case "full":
		b.add("/etc", rule{readOnly: true})
	case "yes":
	default:
		return
	}
	for _, p := range system {
		b.add(p, rule{readOnly: true})
	}
}

// Exists reports whether the unit has a mount namespace of its own. One without has its
// processes where those of everybody are, or they have gone elsewhere by themselves.
func (b Sandbox) Exists() bool { return b.private || len(b.rules) > 0 }

// A Wish is what a sandbox has to say about a mount.
type Wish int

// The wishes.
const (
	Unknown  Wish = iota // no setting explains that mount
	Writable             // nothing keeps it from being writable
	ReadOnly
)

// Of returns the wish for the mount at a mount point inside. inherited is whether the
// namespace of PID 1 has the same mount there, of which this one is a copy.
//
// A setting whose path leads over a symbolic link explains no mount, as the mount is where
// the link leads: what it is about is left as it is.
func (b Sandbox) Of(point string, inherited bool) Wish {
	_, named := b.rules[point]
	explained := inherited || named
	for p := point; ; p = path.Dir(p) {
		if r, ok := b.rules[p]; ok {
			explained = explained || r.tree
			if !r.silent {
				if !explained {
					return Unknown
				}
				return wish(r.readOnly)
			}
		}
		if p == "/" {
			break
		}
	}
	if !explained {
		return Unknown
	}
	return Writable
}

func wish(readOnly bool) Wish {
	if readOnly {
		return ReadOnly
	}
	return Writable
}

// A Unit is a service.
type Unit struct {
	Sandbox Sandbox
	// Processes are those that systemd has started and watches: they are in the sandbox.
	// What they start may have left it.
	Processes []int
}
