package doctor

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/mount"
)

func TestRelockIsGathered(t *testing.T) {
	root := t.TempDir()
	wants := filepath.Join(root, "etc/systemd/system/sleep.target.wants")
	mkdir(t, wants)
	if err := os.Symlink("/usr/lib/systemd/system/immutray-sleep.service", filepath.Join(wants, "immutray-sleep.service")); err != nil {
		t.Fatal(err)
	}
	g := &gatherer{System: &System{Root: root, Config: config.Config{RelockOn: helper.Occasions()}}, tree: mount.NewTree(nil)}
	g.relock()
	want := []Relock{{helper.Sleep, "immutray-sleep.service", true}, {helper.Logout, "immutray-logout.path", false}}
	if !reflect.DeepEqual(g.Facts.Relock, want) {
		t.Errorf("%+v, want %+v", g.Facts.Relock, want)
	}
}

func TestRelockIsJudged(t *testing.T) {
	if got := checkRelock(Facts{}); got != nil {
		t.Errorf("where nothing was asked for: %+v", got)
	}
	got := checkRelock(Facts{Relock: []Relock{
		{helper.Sleep, "immutray-sleep.service", false}, {helper.Logout, "immutray-logout.path", false}, {helper.Logout, "immutray-logout.path", true},
	}})
	want := []Finding{
		{
			Severity: Warning, Check: "relock", What: "locking on sleep is not enabled",
			Why:  "relock_on names it, and without immutray-sleep.service nothing locks the system then",
			Mend: []string{"systemctl enable immutray-sleep.service"},
		}, {
			Severity: Warning, Check: "relock", What: "locking on logout is not enabled",
			Why:  "relock_on names it, and without immutray-logout.path nothing locks the system then",
			Mend: []string{"systemctl enable --now immutray-logout.path"},
		},
		{Severity: OK, Check: "relock", What: "locking on logout is enabled", Why: "relock_on names it"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
