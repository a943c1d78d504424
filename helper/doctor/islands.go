package doctor

import (
	"os"
	"path/filepath"
	"slices"

	"immutray.org/helper/config"
	"immutray.org/helper/islands"
)

func (g *gatherer) islands() {
	for _, name := range g.Config.Islands {
		if !slices.Contains(g.Config.AllowReadonly, name) {
			g.Facts.Islands = append(g.Facts.Islands, name)
		}
	}
	found, err := islands.Find(g.Config, g.opened)
	if err != nil {
		g.unseen("writable-island", "all writable islands: %v", err)
		return
	}
	hidden := map[string]string{}
	for _, f := range found.Frozen {
		hidden[f.Path] = f.Why
	}
	for _, name := range g.wholeHome(islands.Paths(found.Frozen)) {
		place := Place{Name: name} // one that is kept elsewhere is better not opened
		if hidden[name] == "" {
			place = g.place("writable-island", name)
		}
		place.Why = hidden[name]
		g.Frozen = append(g.Frozen, place)
	}
	g.wholeVar()
}

// wholeHome puts /home in place of everyone's, unless somebody's is an island.
func (g *gatherer) wholeHome(frozen []string) []string {
	ofHome := func(name string) bool { return filepath.Dir(name) == config.HomeIsland }
	if !slices.Contains(g.Config.Islands, config.HomeIsland) || !slices.ContainsFunc(frozen, ofHome) {
		return frozen
	}
	real, err := g.resolve(config.HomeIsland)
	if err != nil {
		return frozen
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		return frozen
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(frozen, filepath.Join(config.HomeIsland, e.Name())) {
			return frozen
		}
	}
	frozen = append(slices.DeleteFunc(frozen, ofHome), config.HomeIsland)
	slices.Sort(frozen)
	return frozen
}

// wholeVar puts /var in place of the islands that lie in it, where it is a directory of
// the same subvolume: they are many, and packages add to them.
func (g *gatherer) wholeVar() {
	inVar := func(p Place) bool { return p.Why == "" && isBelow(p.Real, config.VarIsland) && !p.Subvolume }
	if !slices.ContainsFunc(g.Frozen, inVar) {
		return
	}
	whole := g.place("writable-island", config.VarIsland)
	if whole.Real != config.VarIsland || whole.Subvolume {
		return
	}
	var left []Place
	for _, p := range g.Frozen {
		if inVar(p) && p.Point == whole.Point {
			whole.Islands = append(whole.Islands, p.Name)
			continue
		}
		left = append(left, p)
	}
	if whole.Islands != nil {
		g.Frozen = append(left, whole)
	}
}
