package tray

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"fyne.io/systray"
	"github.com/godbus/dbus/v5"

	"immutray.org/icons"
)

// A host shows a model in the tray, through fyne.io/systray. That library keeps its
// state in globals: there is one host in a process, started once.
//
// It can't insert an entry in a menu, and a tray reads the whole menu again for every
// change. So a slot for every entry that there can be is made at the start, and shown,
// hidden and worded as the model says; what has not changed is not touched.
type host struct {
	Theme    theme  // where the desktop finds symbolic icons by name
	Activate func() // a click on the icon; nil: the click opens the menu
	Choose   func(entryID)
	Log      *slog.Logger

	slots []*slot
	shown *model // nil: unknown
	item  *statusItem
	conn  *dbus.Conn // systray's own connection
	name  string     // its unique name
	stop  func()
	ended chan struct{}
}

// A slot is one entry of the menu.
type slot struct {
	id       entryID
	entry    *systray.MenuItem
	item     item
	visible  bool
	children []*slot
}

const (
	// firstSize is the size of the picture until systray's properties are replaced.
	firstSize = 48
	// busTimeout is libdbus' own (_DBUS_DEFAULT_TIMEOUT_VALUE). While a session starts, the
	// bus may take many seconds to answer; with a timeout that is shorter than that, the same
	// would be asked again and again, and never done.
	busTimeout = 25 * time.Second
)

// Start puts the icon into the tray, showing m.
func (h *host) Start(m model) error {
	conn, err := dbus.SessionBus() // shared in the process: the one that systray will use
	if err != nil {
		return fmt.Errorf("cannot reach the session bus: %w", err)
	}
	h.ended = make(chan struct{})
	// Of systray's own properties, which are there for a moment, the Id should be right, which
	// is the title before the start, and so should the picture.
	systray.SetTitle(itemID)
	if h.Activate != nil {
		// Called on the goroutine that serves the bus, so Activate must not wait.
		systray.SetOnTapped(h.Activate)
	}
	h.slots = h.makeSlots(menu{systray.AddMenuItem, systray.AddSeparator}, rows())
	systray.SetIcon(icons.PNG(m.Icon, m.Style, firstSize))
	apply(h.slots, m.Menu)
	h.item = newStatusItem(conn, h.Activate == nil, h.changes(m))
	// With its own loop, Run, systray would not say when it is on the bus. It registers with
	// the tray from now on: what replaces its properties has to be quick.
	start, stop := systray.RunWithExternalLoop(nil, nil)
	start()
	if err := errors.Join(h.item.export(), h.connect(conn)); err != nil {
		close(h.ended)
		return err
	}
	h.stop = stop
	h.shown = &m
	return nil
}

// connect takes systray's connection. systray only logs its errors, so connect checks what
// systray should have done.
func (h *host) connect(conn *dbus.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, itemName()).Store(&h.name); err != nil {
		return fmt.Errorf("cannot put the icon into the tray: %w", err)
	}
	if !slices.Contains(conn.Names(), h.name) {
		return errors.New("cannot put the icon into the tray: its name is taken")
	}
	h.conn = conn
	return nil
}

// isRegistered reports whether the tray lists the icon.
func (h *host) isRegistered(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	var registered []string
	err := h.conn.Object(watcherName, watcherPath).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0,
		watcherName, "RegisteredStatusNotifierItems").Store(&registered)
	if err != nil {
		return false, fmt.Errorf("cannot ask the tray for its icons: %w", err)
	}
	return slices.ContainsFunc(registered, h.isOwn), nil
}

// isOwn reports whether what a tray calls an icon is ours: trays go by its unique name and
// path, ":1.50/StatusNotifierItem", or by its well-known name.
func (h *host) isOwn(item string) bool {
	return strings.HasPrefix(item, h.name+"/") || item == h.name || strings.HasPrefix(item, itemName())
}

// register asks the tray to show the icon.
func (h *host) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	err := h.conn.Object(watcherName, watcherPath).CallWithContext(ctx, watcherName+".RegisterStatusNotifierItem", 0, itemPath).Err
	if err != nil {
		return fmt.Errorf("cannot register with the tray: %w", err)
	}
	return nil
}

// itemName is the name that systray takes on the bus.
func itemName() string { return fmt.Sprintf("%s-%d-1", itemInterface, os.Getpid()) }

// Stop takes the icon out of the tray.
func (h *host) Stop() {
	if h.stop == nil {
		return
	}
	close(h.ended)
	h.stop()
	h.stop = nil
}

// Show shows m instead of what is shown. After an error that may be something else; all of m
// is set again the next time.
func (h *host) Show(m model) error {
	err := h.item.set(h.changes(m))
	apply(h.slots, m.Menu)
	h.shown = &m
	if err != nil {
		h.shown = nil
	}
	return err
}

// changes are the properties in which m differs from what is shown.
func (h *host) changes(m model) map[string]any {
	changes := shownProperties(h.shown, m)
	if h.shown == nil || h.shown.Icon != m.Icon || h.shown.Style != m.Style {
		maps.Copy(changes, h.Theme.pictures(m.Icon, m.Style))
	}
	return changes
}

// A menu is where entries are made: the menu itself, or an entry's submenu.
type menu struct {
	add       func(title, tooltip string) *systray.MenuItem
	separator func()
}

// makeSlots makes a slot for every entry that rows can show, hidden, in their order.
func (h *host) makeSlots(in menu, rows []row) []*slot {
	var slots []*slot
	for _, r := range rows {
		switch {
		case r.separator:
			in.separator()
		case r.lines != nil:
			for i := range r.most {
				slots = append(slots, h.newSlot(r.id.nth(i), in.add("", "")))
			}
		default:
			s := h.newSlot(r.id, in.add("", ""))
			s.children = h.makeSlots(menu{s.entry.AddSubMenuItem, s.entry.AddSeparator}, r.submenu)
			slots = append(slots, s)
		}
	}
	return slots
}

func (h *host) newSlot(id entryID, entry *systray.MenuItem) *slot {
	// systray drops a click if the channel is full or not read at that moment. With
	// room for one, none is lost.
	clicked := make(chan struct{}, 1)
	entry.ClickedCh = clicked
	entry.Hide()
	go func() {
		for {
			select {
			case <-clicked:
				h.Choose(id)
			case <-h.ended:
				return
			}
		}
	}()
	return &slot{id: id, entry: entry}
}

// apply makes the slots show the items. Both come from the same rows, so there is a slot
// for every item.
func apply(slots []*slot, items []item) {
	byID := make(map[entryID]item, len(items))
	for _, item := range items {
		byID[item.ID] = item
	}
	for _, s := range slots {
		item, wanted := byID[s.id]
		if wanted {
			// The children first: a submenu should be complete when it appears.
			apply(s.children, item.Children)
		}
		s.apply(item, wanted)
	}
}

func (s *slot) apply(item item, wanted bool) {
	if wanted && item.Label != s.item.Label {
		s.entry.SetTitle(mnemonic(item.Label))
	}
	if wanted && item.Disabled != s.item.Disabled {
		if item.Disabled {
			s.entry.Disable()
		} else {
			s.entry.Enable()
		}
	}
	if wanted {
		s.item = item
	}
	if wanted == s.visible {
		return
	}
	s.visible = wanted
	if wanted {
		s.entry.Show()
	} else {
		s.entry.Hide()
	}
}

// mnemonic protects a label: com.canonical.dbusmenu takes an underscore for the
// mark of the key that chooses the entry, and two for an underscore.
func mnemonic(label string) string { return strings.ReplaceAll(label, "_", "__") }
