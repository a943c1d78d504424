package tray

import "testing"

func TestRowsAreComplete(t *testing.T) {
	seen := map[entryID]bool{}
	var check func([]row)
	check = func(rows []row) {
		for _, r := range rows {
			if r.id == "" || seen[r.id] {
				t.Errorf("the id %q is empty or there twice", r.id)
			}
			seen[r.id] = true
			if r.separator {
				continue
			}
			if (r.label == nil) == (r.lines == nil) || (r.lines == nil) != (r.most == 0) {
				t.Errorf("%s has neither a label nor lines, both, or no bound for its lines", r.id)
			}
			if found := find(rows, r.id); found.id != r.id {
				t.Errorf("a click on %s finds the row %q", r.id, found.id)
			}
			check(r.submenu)
		}
	}
	check(rows())
	if r := find(rows(), "none"); r.id != "" {
		t.Errorf("find() of an unknown entry = %q", r.id)
	}
}
