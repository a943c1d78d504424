package tray

import (
	"slices"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/icons"
	"immutray.org/notify/notifytest"
)

// A screen reader says the title: MATE's panel makes it the accessible name, GNOME's
// extension too.
func TestTitleIsTheHeadline(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	item := p.item()
	title := func() string { return item.word("Title") }
	eventually(t, "the title", title, "Locked")
	heard := listenTo(t, bus, item, "NewTitle")
	c.set(unlockedNow())
	eventually(t, "the title", title, "Unlocked for less than 1 min by rrs")
	heard.expect(t)
	c.set(report{Status: helper.Status{State: helper.Unknown}})
	eventually(t, "the title", title, "Unknown")
}

func TestWhatIsOverdueNeedsAttention(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	item := p.item()
	status := func() string { return item.word("Status") }
	eventually(t, "the status", status, active)
	heard := listenTo(t, bus, item, "NewStatus")
	c.set(overdue(blockedBy(vim)))
	eventually(t, "the status", status, needsAttention)
	heard.expect(t, needsAttention)
	c.set(lockedAt)
	eventually(t, "the status", status, active)
}

// GNOME's tray shows no icon at all while one that needs attention has no picture for it.
func TestPicturesForAttentionAreTheSame(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startChild(t, bus, defaultSettings(), overdue(blockedBy(vim)))
	item := p.item()
	eventually(t, "the picture", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.Unlocked, icons.Color)))
	var attention []pixmap
	item.property("AttentionIconPixmap", &attention)
	if describe(attention) != describe(item.pixmaps()) {
		t.Error("the picture for attention is another")
	}
}

func TestSymbolicIconsAreNamedWhereTheyAreInstalled(t *testing.T) {
	t.Parallel()
	env := map[string]string{"XDG_DATA_HOME": installDrawings(t), "XDG_DATA_DIRS": "/nowhere"}
	installed := desktopTheme(func(name string) string { return env[name] })
	for _, c := range []struct {
		name  string
		style icons.Style
		theme theme
		want  string
	}{
		{"symbolic", icons.Symbolic, installed, "immutray-locked-symbolic"},
		{"symbolic, not installed", icons.Symbolic, nil, ""},
		{"in colour", icons.Color, installed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bus := notifytest.StartBus(t)
			p := startPanel(t, bus)
			settings := defaultSettings()
			settings.Style = c.style
			applet := startChildWith(t, bus, order{Settings: &settings, Theme: c.theme}, lockedAt)
			item := p.item()
			eventually(t, "the icon", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.Locked, c.style)))
			for _, property := range []string{"IconName", "AttentionIconName"} {
				if got := item.word(property); got != c.want {
					t.Errorf("%s = %q, want %q", property, got, c.want)
				}
			}
			applet.set(partlyAt) // its drawing is not installed
			eventually(t, "the icon", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.PartlyLocked, c.style)))
			if got := item.word("IconName"); got != "" {
				t.Errorf("IconName = %q for a drawing that is not installed", got)
			}
		})
	}
}

func TestNoProgramChangesWhatIsShown(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startChild(t, bus, defaultSettings(), lockedAt)
	item := p.item()
	eventually(t, "the title", func() string { return item.word("Title") }, "Locked")
	for name, value := range map[string]any{"Title": "Unlocked", "IconPixmap": []pixmap{}, "Menu": dbus.ObjectPath("/other"), "Other": 1} {
		if err := item.object.SetProperty(itemInterface+"."+name, dbus.MakeVariant(value)); err == nil {
			t.Errorf("%s can be set", name)
		}
	}
	if got := item.word("Title"); got != "Locked" {
		t.Errorf("the title is %q", got)
	}
}

// A listener hears one signal of an item.
type listener struct {
	member  string
	signals chan *dbus.Signal
}

func listenTo(t *testing.T, bus *notifytest.Bus, item *trayItem, member string) *listener {
	t.Helper()
	conn := bus.Connect(t)
	l := &listener{member, make(chan *dbus.Signal, 64)}
	conn.Signal(l.signals)
	if err := conn.AddMatchSignal(dbus.WithMatchSender(item.name), dbus.WithMatchMember(member)); err != nil {
		t.Fatal(err)
	}
	return l
}

// expect waits until the signal comes with these arguments.
func (l *listener) expect(t *testing.T, arguments ...any) {
	t.Helper()
	for giveUp := time.After(timeout); ; {
		select {
		case s := <-l.signals:
			if s.Name == itemInterface+"."+l.member && slices.Equal(s.Body, arguments) {
				return
			}
		case <-giveUp:
			t.Fatalf("waited %v for %s", timeout, l.member)
		}
	}
}
