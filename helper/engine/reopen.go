package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
	"immutray.org/helper/sandbox"
)

// Units tells about services.
type Units interface {
	// Describe returns what systemd says of the services called names; those that it
	// tells nothing of, or not in time, are missing.
	Describe(ctx context.Context, names []string) map[string]sandbox.Unit
}

// A reopening clears the mount flags of the others after an unlock, except where a service
// wants to have them.
type reopening struct {
	flags flagList // set by earlier locks
	units map[string]sandbox.Unit
	// inherited are the mounts of the own namespace.
	inherited map[place]bool
	behind    []helper.Bystander
}

// A place is what a mount shows, and where.
type place struct{ superblock, root, point string }

func placeOf(m namespaces.Mount) place { return place{m.Device, m.Root, m.Point} }

// reopenOthers makes the others of paths writable that are unlocked, as far as can be told
// that they should be. It returns the programs that see them read-only still. None of that
// is a failure: the system itself is unlocked.
func (e *Engine) reopenOthers(paths []*protected.Path, result *helper.Result) []helper.Bystander {
	ctx, cancel := context.WithTimeout(context.Background(), othersPatience)
	defer cancel()
	note := func(err error) {
		result.Notices = append(result.Notices, fmt.Sprintf("services that have started while it was locked may still see it read-only: %v", err))
	}
	set, err := namespaces.Find(ctx)
	if set == nil {
		note(err)
		return nil
	}
	defer set.Close()
	r := reopening{inherited: map[place]bool{}}
	r.flags, _ = readFlags(e.Config.StateDir) // without, more is named that stays read-only
	closed := make([][]found, len(paths))
	all := make([]*others, len(paths))
	for i, p := range paths {
		if all[i], err = lookForOthers(p); err != nil {
			note(err)
			return nil
		}
		defer all[i].end()
		closed[i] = r.look(ctx, all[i], set)
	}
	if e.Units != nil {
		r.units = e.Units.Describe(ctx, serviceNames(slices.Concat(closed...)))
	}
	for i, o := range all {
		for _, f := range closed[i] {
			r.reopen(ctx, o, f)
		}
	}
	forgetFlags(e.Config.StateDir)
	if result.Before.State != helper.Unlocked {
		result.Notices = append(result.Notices, stubborn(slices.Concat(closed...))...)
	}
	r.behind = r.behind[:min(len(r.behind), maxBehind)]
	if words := helper.StillReadOnlyWords(r.behind); words != "" {
		result.Notices = append(result.Notices, words)
	}
	return r.behind
}

// maxBehind bounds how many programs are named.
const maxBehind = 100

// look returns the mounts that are read-only, by namespace.
func (r *reopening) look(ctx context.Context, o *others, set *namespaces.Set) []found {
	var closed []found
	for _, n := range set.Namespaces {
		mounts, _ := o.visitor.Mounts(ctx, n, o.subvolume)
		if n.Self {
			for _, m := range mounts {
				r.inherited[placeOf(m)] = true
			}
		}
		mounts = o.among(n, mounts, true)
		if len(mounts) > 0 {
			closed = append(closed, found{n, mounts})
		}
	}
	return closed
}

// serviceNames returns the services that have namespaces which only root can have made.
func serviceNames(closed []found) []string {
	var names []string
	for _, f := range closed {
		if f.in.Self || f.in.Foreign {
			continue
		}
		if unit := bystander(f.in).Unit; strings.HasSuffix(unit, ".service") && !slices.Contains(names, unit) {
			names = append(names, unit)
		}
	}
	return names
}

// reopen clears the flags in one namespace.
func (r *reopening) reopen(ctx context.Context, o *others, f found) {
	who := bystander(f.in)
	unit, known := r.units[who.Unit]
	// A program that has gone into a namespace of its own making is in none of its unit's.
	known = known && unit.Sandbox.Exists() && slices.ContainsFunc(unit.Processes, func(pid int) bool {
		id, err := namespaces.Of(pid)
		return err == nil && id == f.in.ID
	})
	var mounts []namespaces.Mount
	behind := false
	for _, m := range f.mounts {
		inherited := r.inherited[placeOf(m)]
		switch {
		case r.flags.has(f.in, m):
			mounts = append(mounts, m)
		case known && unit.Sandbox.Of(m.Point, inherited) == sandbox.Writable:
			mounts = append(mounts, m)
		case !known && inherited:
			behind = true // nobody tells whether it should be
		}
	}
	for _, err := range o.visitor.SetReadOnly(ctx, f.in, o.subvolume, mounts, false) {
		if err != nil && !errors.Is(err, namespaces.ErrHidden) {
			behind = true
		}
	}
	if behind && !f.in.Self && !f.in.Foreign && !slices.Contains(r.behind, who) {
		r.behind = append(r.behind, who)
	}
}

// rememberers are services of systemd that take a setting for made before they write it to
// /etc, and do not write it again (method_set_timezone in systemd's src/timedate/timedated.c,
// method_set_static_hostname in src/hostname/hostnamed.c, method_set_locale in
// src/locale/localed.c). They end after half a minute without work.
var rememberers = map[string]string{
	"systemd-timedated.service": "time zone",
	"systemd-hostnamed.service": "host name",
	"systemd-localed.service":   "language or keyboard",
}

// stubborn returns a sentence for each of the rememberers that has been at work while the
// system was locked.
func stubborn(closed []found) []string {
	var sentences []string
	for _, name := range serviceNames(closed) {
		if setting, ok := rememberers[name]; ok {
			sentences = append(sentences, fmt.Sprintf("%s says \"done\" when a %s is set that it could not write while the system was locked, and does not write it: run \"systemctl stop %s\" first, or wait for half a minute", name, setting, name))
		}
	}
	return sentences
}
