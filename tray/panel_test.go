package tray

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/notify/notifytest"
)

// A panel is a fake host of tray icons: it owns org.kde.StatusNotifierWatcher, and
// reads and clicks what registers with it, as a real one does.
type panel struct {
	t    *testing.T
	bus  *notifytest.Bus
	conn *dbus.Conn // own, so that it can go

	mu         sync.Mutex
	registered []string // unique names, in order
	misses     int      // registrations that are lost
	refusing   bool     // it owns the watcher's name, and can do nothing yet
	refused    int      // registrations meanwhile
	changed    chan struct{}
}

func startPanel(t *testing.T, bus *notifytest.Bus) *panel {
	t.Helper()
	p := &panel{t: t, bus: bus, conn: bus.Connect(t), changed: make(chan struct{}, 1)}
	if err := p.conn.Export(panelMethods{p}, watcherPath, watcherName); err != nil {
		t.Fatal(err)
	}
	if err := p.conn.Export(panelProperties{p}, watcherPath, "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatal(err)
	}
	if reply, err := p.conn.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName(%s) = %v, %v", watcherName, reply, err)
	}
	return p
}

// stop ends the panel, as a crash does.
func (p *panel) stop() { p.conn.Close() }

type panelMethods struct{ p *panel }

func (m panelMethods) RegisterStatusNotifierItem(_ string, sender dbus.Sender) *dbus.Error {
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	defer m.p.wake()
	if m.p.refusing {
		m.p.refused++
		return dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", nil)
	}
	if m.p.misses > 0 {
		m.p.misses--
		return nil
	}
	m.p.registered = append(m.p.registered, string(sender))
	return nil
}

func (p *panel) wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// wait waits until the panel is as wanted.
func (p *panel) wait(what string, is func() bool) {
	p.t.Helper()
	for giveUp := time.After(timeout); ; {
		p.mu.Lock()
		ok := is()
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.changed:
		case <-giveUp:
			p.t.Fatalf("waited %v for %s", timeout, what)
		}
	}
}

// forget drops every icon, and says so, as a panel does that draws its row again.
func (p *panel) forget() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range p.registered {
		if err := p.conn.Emit(watcherPath, watcherName+".StatusNotifierItemUnregistered", name+itemPath); err != nil {
			p.t.Fatal(err)
		}
	}
	p.registered = nil
}

type panelProperties struct{ p *panel }

func (m panelProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	if name != "RegisteredStatusNotifierItems" {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", nil)
	}
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	if m.p.refusing {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", nil)
	}
	items := []string{":1.4711/StatusNotifierItem"}
	for _, name := range m.p.registered {
		items = append(items, name+itemPath)
	}
	return dbus.MakeVariant(items), nil
}

// item waits until an icon is registered.
func (p *panel) item() *trayItem {
	p.t.Helper()
	var name string
	p.wait("an icon", func() bool {
		if len(p.registered) > 0 {
			name = p.registered[0]
		}
		return name != ""
	})
	return &trayItem{p: p, name: name, object: p.conn.Object(name, itemPath)}
}

// A trayItem is an icon in the panel.
type trayItem struct {
	p      *panel
	name   string
	object dbus.BusObject
}

func (i *trayItem) property(name string, to any) {
	i.p.t.Helper()
	v, err := i.object.GetProperty(itemInterface + "." + name)
	if err != nil {
		i.p.t.Fatalf("cannot read %s: %v", name, err)
	}
	if err := v.Store(to); err != nil {
		i.p.t.Fatalf("cannot read %s: %v", name, err)
	}
}

func (i *trayItem) tooltip() string {
	i.p.t.Helper()
	var t toolTip
	i.property("ToolTip", &t)
	return t.Title
}

// word reads a property that is a text.
func (i *trayItem) word(name string) string {
	i.p.t.Helper()
	var value string
	i.property(name, &value)
	return value
}

func (i *trayItem) pixmaps() []pixmap {
	i.p.t.Helper()
	var p []pixmap
	i.property("IconPixmap", &p)
	return p
}

func (i *trayItem) menu() dbus.BusObject {
	i.p.t.Helper()
	var at dbus.ObjectPath
	i.property("Menu", &at)
	return i.p.conn.Object(i.name, at)
}

// A menuEntry is an entry of the menu as the bus has it.
type menuEntry struct {
	ID         int32
	Properties map[string]dbus.Variant
	Children   []dbus.Variant
}

func (e menuEntry) label() string {
	label, _ := e.Properties["label"].Value().(string)
	return label
}

func (e menuEntry) is(property string) bool {
	v, ok := e.Properties[property].Value().(bool)
	return v || !ok // visible and enabled are true when they are left out
}

// layout reads the menu: the visible entries, and those of submenus after theirs.
func (i *trayItem) layout() []menuEntry {
	i.p.t.Helper()
	var revision uint32
	var root menuEntry
	call := i.menu().Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{})
	if err := call.Store(&revision, &root); err != nil {
		i.p.t.Fatalf("GetLayout: %v", err)
	}
	return i.visible(root.Children)
}

func (i *trayItem) visible(children []dbus.Variant) []menuEntry {
	i.p.t.Helper()
	var entries []menuEntry
	for _, child := range children {
		var e menuEntry
		if err := child.Store(&e); err != nil {
			i.p.t.Fatalf("GetLayout: %v", err)
		}
		if e.is("visible") {
			entries = append(append(entries, e), i.visible(e.Children)...)
		}
	}
	return entries
}

// text draws the menu as text does, without the indents.
func (i *trayItem) text() string {
	i.p.t.Helper()
	text := ""
	for _, e := range i.layout() {
		switch {
		case e.Properties["type"].Value() == "separator":
			text += "---\n"
		case !e.is("enabled"):
			text += "(" + e.label() + ")\n"
		default:
			text += e.label() + "\n"
		}
	}
	return text
}

// choose clicks on the entry with a label, once it can be chosen.
func (i *trayItem) choose(label string) {
	i.p.t.Helper()
	if err := i.clickEntry(label); err != nil {
		i.p.t.Fatalf("Event(clicked) on %q: %v", label, err)
	}
}

// chooseQuit allows for an applet that is gone before it has answered.
func (i *trayItem) chooseQuit() {
	i.p.t.Helper()
	var gone dbus.Error
	if err := i.clickEntry("Quit"); err != nil && !(errors.As(err, &gone) && gone.Name == "org.freedesktop.DBus.Error.NoReply") {
		i.p.t.Fatalf("Event(clicked) on Quit: %v", err)
	}
}

// clickEntry waits until the menu has the entry, and chooses it.
func (i *trayItem) clickEntry(label string) error {
	i.p.t.Helper()
	var id int32
	eventually(i.p.t, "the entry "+label, func() bool {
		for _, e := range i.layout() {
			if e.label() == label && e.is("enabled") {
				id = e.ID
				return true
			}
		}
		return false
	}, true)
	return i.menu().Call("com.canonical.dbusmenu.Event", 0, id, "clicked", dbus.MakeVariant(0), uint32(0)).Err
}

func (i *trayItem) activate() error {
	return i.object.Call(itemInterface+".Activate", 0, int32(0), int32(0)).Err
}

// eventually waits until what is read over the bus is as wanted.
func eventually[T comparable](t *testing.T, what string, read func() T, want T) {
	t.Helper()
	var got T
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got = read(); got == want {
			return
		}
	}
	t.Fatalf("%s is\n%v\nwant\n%v", what, got, want)
}

func describe(pixmaps []pixmap) string { return fmt.Sprintf("%v", pixmaps) }
