package engine

import (
	"errors"
	"fmt"
	"slices"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/protected"
	"immutray.org/helper/statefile"
)

// targets are the protected paths of a request.
type targets struct {
	// paths are those that exist: first the configuration's, then those that were opened by an
	// earlier one and are not locked again yet.
	paths []*protected.Path
	own   int // how many of them are the configuration's
	// missing is why others of the configuration's can't be opened, by name.
	missing []missing
}

type missing struct {
	name string
	err  error
}

// openTargets opens what can be opened. Paths that the configuration no longer names, and that
// can't be protected any more because their mount is gone, are ignored.
func openTargets(c config.Config, recorded statefile.State) *targets {
	t := &targets{}
	own := c.Paths
	all := c.With(recorded.StillOpen()).Paths
	for i, name := range all {
		p, err := protected.Open(name)
		switch {
		case err == nil:
			p.WasBtrfs = slices.Contains(c.OnBtrfs, name)
			t.paths = append(t.paths, p)
		case i < len(own) || !errors.Is(err, protected.ErrUnfit):
			t.missing = append(t.missing, missing{name, err})
		}
		if i < len(own) {
			t.own = len(t.paths)
		}
	}
	return t
}

func (t *targets) close() { closePaths(t.paths) }

// ours are the paths of the configuration.
func (t *targets) ours() []*protected.Path { return t.paths[:t.own] }

// err returns why paths are missing, nil if none is.
func (t *targets) err() error {
	var all error
	for _, m := range t.missing {
		all = join(all, m.err)
	}
	return all
}

// told adds to the error of a lock why other paths are missing, and to the result which paths
// were locked only because they were opened.
func (t *targets) told(err error, result *helper.Result) error {
	for _, p := range t.paths[t.own:] {
		result.Notices = append(result.Notices, fmt.Sprintf("%q was made writable, so it is locked again, although the configuration no longer names it", p.Name))
	}
	return join(err, t.err())
}

// statuses reads the status of every path; that of a missing one is unknown.
func (t *targets) statuses() []helper.PathStatus {
	all := statuses(t.paths)
	for _, m := range t.missing {
		all = append(all, helper.PathStatus{Path: m.name, State: helper.Unknown, Error: m.err.Error()})
	}
	return all
}
