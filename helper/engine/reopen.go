package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/bystanders"
	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
	"immutray.org/helper/sandbox"
	"immutray.org/helper/statedir"
)

// Units describes services.
type Units interface {
	// Describe returns what systemd knows about the services called names; those about which it
	// says nothing, or not in time, are missing.
	Describe(ctx context.Context, names []string) map[string]sandbox.Unit
}

// A reopening clears the mount flags of the others after an unlock, except where a service
// wants them.
type reopening struct {
	others *others
	flags  flagList // set by earlier locks
	units  map[string]sandbox.Unit
	// inherited are the mounts of this process' own namespace.
	inherited map[mountKey]bool
	behind    []helper.Bystander
}

// A mountKey is what a mount shows, and where: copies in other namespaces have the same.
type mountKey struct{ superblock, root, point string }

func keyOf(m namespaces.Mount) mountKey { return mountKey{m.Device, m.Root, m.Point} }

// reopenOthers makes the others of unlocked paths writable, as far as it is known that they
// should be. It returns the programs that still see them read-only. None of that is a failure:
// the system itself is unlocked.
func (e *Engine) reopenOthers(paths []*protected.Path, result *helper.Result) []helper.Bystander {
	r := reopening{inherited: map[mountKey]bool{}}
	r.flags, _ = readFlags(statedir.Dir(e.Config.StateDir)) // without them, more programs are named
	closed, err := r.look(paths)
	defer r.others.end()
	if err != nil {
		result.Notices = append(result.Notices, fmt.Sprintf("services that were started while the system was locked may still see it read-only: %v", err))
		return nil
	}
	if unsure := r.unsure(closed); e.Units != nil && len(unsure) > 0 {
		r.units = e.Units.Describe(context.Background(), unsure)
	}
	r.reopen(closed)
	forgetFlags(statedir.Dir(e.Config.StateDir))
	if result.Before.State != helper.Unlocked {
		result.Notices = append(result.Notices, stubborn(closed)...)
	}
	r.behind = r.behind[:min(len(r.behind), maxBehind)]
	if words := bystanders.Words(r.behind); words != "" {
		result.Notices = append(result.Notices, words)
	}
	return r.behind
}

// maxBehind bounds how many programs are named.
const maxBehind = 100

// look returns the mounts of the others that are read-only, by namespace.
func (r *reopening) look(paths []*protected.Path) (closed []namespaces.Found, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), othersTimeout)
	defer cancel()
	if r.others, err = lookForOthers(paths...); err != nil {
		return nil, err
	}
	set, err := namespaces.Find(ctx)
	if set == nil {
		return nil, err
	}
	r.others.sets = append(r.others.sets, set)
	for _, f := range r.others.visitor.Mounts(ctx, set.Namespaces) {
		for _, m := range f.Mounts {
			if f.In.Self {
				r.inherited[keyOf(m)] = true
			}
		}
		f.Mounts = slices.DeleteFunc(f.Mounts, func(m namespaces.Mount) bool { return !r.others.has(f.In, m) || !m.ReadOnly() })
		if len(f.Mounts) > 0 {
			closed = append(closed, f)
		}
	}
	return closed, nil
}

// unsure returns the services about which the flags are not enough.
func (r *reopening) unsure(closed []namespaces.Found) []string {
	return serviceNames(slices.DeleteFunc(slices.Clone(closed), func(f namespaces.Found) bool {
		return !slices.ContainsFunc(f.Mounts, func(m namespaces.Mount) bool { return !r.flags.has(f.In, m) })
	}))
}

// serviceNames returns the services that have namespaces which only root can have made.
func serviceNames(closed []namespaces.Found) []string {
	var names []string
	for _, f := range closed {
		if f.In.Self || f.In.Foreign {
			continue
		}
		if unit := bystander(f.In).Unit; strings.HasSuffix(unit, ".service") && !slices.Contains(names, unit) {
			names = append(names, unit)
		}
	}
	return names
}

// reopen clears the flags that no service wants.
func (r *reopening) reopen(closed []namespaces.Found) {
	ctx, cancel := context.WithTimeout(context.Background(), othersTimeout)
	defer cancel()
	var open []namespaces.Found
	for _, f := range closed {
		if f.Mounts = r.unwanted(f); len(f.Mounts) > 0 {
			open = append(open, f)
		}
	}
	for _, f := range r.others.visitor.SetReadOnly(ctx, open, false) {
		for _, err := range append(f.Errs, f.Err) {
			if err != nil && !errors.Is(err, namespaces.ErrHidden) {
				r.leave(f.In)
			}
		}
	}
}

// unwanted returns the mounts in a namespace whose flags no service wants.
func (r *reopening) unwanted(f namespaces.Found) []namespaces.Mount {
	unit, known := r.units[bystander(f.In).Unit]
	// A program that has entered a namespace of its own making is in none of its unit's.
	known = known && unit.Sandbox.Exists() && slices.ContainsFunc(unit.Processes, func(pid int) bool {
		id, err := namespaces.Of(pid)
		return err == nil && id == f.In.ID
	})
	var mounts []namespaces.Mount
	for _, m := range f.Mounts {
		inherited := r.inherited[keyOf(m)]
		switch {
		case r.flags.has(f.In, m), known && unit.Sandbox.Of(m.Point, inherited) == sandbox.Writable:
			mounts = append(mounts, m)
		case !known && inherited:
			r.leave(f.In) // it is not known whether it should be
		}
	}
	return mounts
}

func (r *reopening) leave(n *namespaces.Namespace) {
	if who := bystander(n); !n.Self && !n.Foreign && !slices.Contains(r.behind, who) {
		r.behind = append(r.behind, who)
	}
}

// rememberers are services of systemd that take a setting for made before they write it to
// /etc, and do not write it again (method_set_timezone in systemd's src/timedate/timedated.c,
// method_set_static_hostname in src/hostname/hostnamed.c, method_set_locale in
// src/locale/localed.c). They end after being idle for half a minute.
var rememberers = map[string]string{
	"systemd-timedated.service": "time zone",
	"systemd-hostnamed.service": "host name",
	"systemd-localed.service":   "language or keyboard",
}

// stubborn returns a sentence for each of the rememberers that has run while the system was
// locked.
func stubborn(closed []namespaces.Found) []string {
	var sentences []string
	for _, name := range serviceNames(closed) {
		if setting, ok := rememberers[name]; ok {
			sentences = append(sentences, fmt.Sprintf("%s says \"done\" when you set a %s that it could not write while the system was locked, but does not write it: run \"systemctl stop %s\" first, or wait for half a minute", name, setting, name))
		}
	}
	return sentences
}
