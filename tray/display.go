package tray

import (
	"reflect"
	"time"
)

// showAgain is how long a tray that did not take a picture is left alone.
const showAgain = 2 * time.Second

// A screen shows a model. After an error what it shows is unknown.
type screen interface{ Show(model) error }

// A display is what a screen shows, as far as that is known.
type display struct {
	shown  *model // nil: nothing, or unknown
	failed bool   // the last attempt to show something
}

// show brings a screen up to date.
func (d *display) show(on screen, m model) error {
	if d.shown != nil && reflect.DeepEqual(m, *d.shown) {
		return nil
	}
	err := on.Show(m)
	d.shown, d.failed = &m, err != nil
	if err != nil {
		d.shown = nil
	}
	return err
}

// wait returns how long to wait until show is to be called again; false when that is not
// needed.
func (d *display) wait() (time.Duration, bool) { return showAgain, d.failed }
