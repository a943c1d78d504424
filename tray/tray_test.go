package tray

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/history"
	"immutray.org/icons"
	"immutray.org/notify/notifytest"
)

func TestTrayShowsTheState(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	item := p.item()
	var id string
	var isMenu bool
	item.property("Id", &id)
	item.property("ItemIsMenu", &isMenu)
	if id != "immutray" || isMenu {
		t.Errorf("Id = %q, ItemIsMenu = %v, want immutray, false", id, isMenu)
	}
	eventually(t, "the category", func() string { return item.word("Category") }, "SystemServices")
	eventually(t, "the tooltip", item.tooltip, "Locked")
	eventually(t, "the menu", item.text, `(Locked)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`)
	eventually(t, "the icon", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.Locked, icons.Color)))

	c.set(partlyAt)
	eventually(t, "the tooltip", item.tooltip, "Partly locked: /etc: open mount")
	eventually(t, "the menu", item.text, `(Partly locked)
(/: locked (property read-only, mount read-only))
(/etc: open mount (property read-only, mount writable))
---
Lock now
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
Remind me in 1 hour
---
About Immutray
Quit
`)
	eventually(t, "the icon", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.PartlyLocked, icons.Color)))
}

func TestUnderscoresAreNoMnemonics(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startChild(t, bus, defaultSettings(), report{Status: helper.Status{State: helper.Locked, Paths: []helper.PathStatus{
		path("/my_data\n\x1b", helper.ReadOnly, helper.ReadOnly),
	}}})
	item := p.item()
	eventually(t, "the entry", func() bool {
		return strings.Contains(item.text(), `(/my__data\n\x1b: locked (property read-only, mount read-only))`)
	}, true)
}

// The life of one unlock: click, password, unlock, reminder, lock.
func TestClickUnlockRemindLock(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	p := startPanel(t, bus)
	settings := defaultSettings()
	settings.Remind.First = time.Second
	c := startChild(t, bus, settings, lockedAt)
	item := p.item()
	eventually(t, "the tooltip", item.tooltip, "Locked")
	// The helper does not answer before the test says so, so that Activate returning at
	// all shows that it does not wait.
	for range 3 {
		if err := item.activate(); err != nil {
			t.Fatalf("Activate: %v", err)
		}
	}
	c.expect("do unlock")
	eventually(t, "the tooltip", item.tooltip, "Waiting for the password…")
	c.set(unlockedNow())
	c.answer(done(helper.Unlock))
	eventually(t, "the tooltip", item.tooltip, "Unlocked for less than 1 min by rrs")
	if len(c.lines) != 0 {
		t.Errorf("the helper was asked again: %s", <-c.lines)
	}
	feedback := server.WaitForPosts(1)
	if feedback.Summary != "Unlocked" {
		t.Errorf("the feedback is %+v", feedback)
	}
	reminder := server.WaitForPosts(2)
	if reminder.Hints["urgency"].Value() != byte(2) || reminder.Icon != "immutray-unlocked" {
		t.Errorf("the reminder is %+v", reminder)
	}
	server.InvokeAction(reminder.ID, "lock")
	c.expect("do lock")
	eventually(t, "the tooltip", item.tooltip, "Locking…")
	c.set(lockedAt)
	c.answer(done(helper.Lock))
	eventually(t, "the tooltip", item.tooltip, "Locked")
	server.WaitFor("no reminder", func(s notifytest.State) bool {
		for _, post := range s.Open {
			if post.ID == reminder.ID {
				return false
			}
		}
		return true
	})
}

// unlockedNow is unlockedAt for a child, whose clock is the real one.
func unlockedNow() report {
	r := unlockedAt
	r.Status.Window = &helper.Window{Since: time.Now(), UID: 1000, User: "rrs"}
	return r
}

func TestMenuAsks(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), partlyAt)
	item := p.item()
	eventually(t, "the tooltip", item.tooltip, "Partly locked: /etc: open mount")
	item.choose("Lock now")
	c.expect("do lock")
	c.set(lockedAt)
	c.answer(done(helper.Lock))
	eventually(t, "the tooltip", item.tooltip, "Locked")
	item.choose("Unlock until I lock it…")
	c.expect("do unlock until locked")
	c.answer(reply{Cancelled: true})
	eventually(t, "the tooltip", item.tooltip, "Locked")
	item.chooseQuit()
	if code := c.waitEnd(); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
}

func TestClickMenuLeavesTheClickToThePanel(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	settings := defaultSettings()
	settings.Click = clickMenu
	startChild(t, bus, settings, lockedAt)
	item := p.item()
	var isMenu bool
	item.property("ItemIsMenu", &isMenu)
	if !isMenu {
		t.Error("ItemIsMenu = false, want true")
	}
	if err := item.activate(); err == nil {
		t.Error("Activate is there")
	}
}

func TestWithoutTrayRemindersGoOn(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	settings := defaultSettings()
	settings.Remind.First = time.Second
	c := startChild(t, bus, settings, unlockedNow())
	server.InvokeAction(server.WaitForPosts(1).ID, "lock")
	c.expect("do lock")
	c.set(lockedAt)
	c.answer(done(helper.Lock))
	// A panel that comes later gets the icon.
	eventually(t, "the tooltip", startPanel(t, bus).item().tooltip, "Locked")
}

func TestSnoozeFromTheMenu(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startChild(t, bus, defaultSettings(), unlockedNow())
	item := p.item()
	eventually(t, "the tooltip", item.tooltip, "Unlocked for less than 1 min by rrs")
	item.choose("Remind me in 1 hour")
	eventually(t, "the entry", func() bool { return strings.Contains(item.text(), "(Reminders off until ") }, true)
	item.choose("Turn reminders on again")
	eventually(t, "the entry", func() bool { return strings.Contains(item.text(), "\nRemind me in 1 hour\n") }, true)
}

// What is wrong in the file is said, the rest of it is used, and both change with the file.
func TestSettingsAreReadAgain(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	p := startPanel(t, bus)
	file := filepath.Join(t.TempDir(), "config.toml")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("snooze = \"2h\"\nclik = \"lock\"\nremind_every = 5\nremind_first = 1m\n")
	startChildWith(t, bus, order{File: file}, unlockedNow())
	item := p.item()
	post := server.WaitForPosts(1)
	want := file + "\nLine 2: unknown key clik; did you mean click?\n" +
		"Line 3: remind_every: it must be a time with its unit in quotes, such as \"5s\", \"15m\" or \"1h\".\n" +
		"Line 4: remind_first: the value must be in quotes."
	if post.Summary != "3 of your settings are not used" || post.Body != want {
		t.Errorf("the notification is %q\n%s\nwant\n%s", post.Summary, post.Body, want)
	}
	eventually(t, "the entry", func() bool { return strings.Contains(item.text(), "\n3 of your settings are not used\n") }, true)
	eventually(t, "the rest of the file", func() bool { return strings.Contains(item.text(), "\nRemind me in 2 hours\n") }, true)

	save("snooze = \"3h\"\nicon_style = \"symbolic\"\n")
	server.WaitForOpen(0)
	eventually(t, "the new settings", func() bool { return strings.Contains(item.text(), "\nRemind me in 3 hours\n") }, true)
	eventually(t, "an entry about the settings", func() bool { return strings.Contains(item.text(), "not used") }, false)
	eventually(t, "the new style", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.Unlocked, icons.Symbolic)))
}

func TestEndLeavesNothing(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	p := startPanel(t, bus)
	settings := defaultSettings()
	settings.Remind.First, settings.Remind.Every = time.Second, time.Second
	c := startChild(t, bus, settings, unlockedNow())
	item := p.item()
	// At the second reminder the applet has the answer to the first.
	server.WaitFor("two reminders", func(s notifytest.State) bool { return len(s.Posts) >= 2 })
	if err := c.terminate(); err != nil {
		t.Fatal(err)
	}
	if code := c.waitEnd(); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
	server.WaitForOpen(0) // the reminder's buttons would do nothing any more
	var has bool
	if err := p.conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, item.name).Store(&has); err != nil || has {
		t.Errorf("the icon is still on the bus: %v, %v", has, err)
	}
}

// A host reads the menu again for every signal, so nothing that is as it was may be
// touched.
func TestOnlyWhatChangedIsTouched(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	item := p.item()
	c.set(partlyAt)
	eventually(t, "the tooltip", item.tooltip, "Partly locked: /etc: open mount")
	item.layout() // when it is read first, systray has it read again
	signals := make(chan *dbus.Signal, 64)
	p.conn.Signal(signals)
	if err := p.conn.AddMatchSignal(dbus.WithMatchSender(item.name)); err != nil {
		t.Fatal(err)
	}
	other := partlyAt
	other.Status.Paths = append([]helper.PathStatus{}, other.Status.Paths...)
	other.Status.Paths[0].Path = "/other"
	c.set(partlyAt)
	c.set(other)
	const line = "(/other: locked (property read-only, mount read-only))"
	eventually(t, "the line", func() bool { return strings.Contains(item.text(), line) }, true)
	c.set(unlockedNow())
	eventually(t, "the tooltip", item.tooltip, "Unlocked for less than 1 min by rrs")
	touched := map[string]int{}
	for len(signals) > 0 {
		s := <-signals
		switch s.Name {
		case "com.canonical.dbusmenu.ItemsPropertiesUpdated":
			var updated []struct {
				ID         int32
				Properties map[string]dbus.Variant
			}
			if err := dbus.Store(s.Body[:1], &updated); err != nil {
				t.Fatal(err)
			}
			for _, u := range updated {
				label, _ := u.Properties["label"].Value().(string)
				touched[label]++
			}
		case itemInterface + ".NewIcon", itemInterface + ".NewToolTip":
			touched[s.Name]++
		}
	}
	if n := touched[strings.Trim(line, "()")+")"]; n != 1 {
		t.Errorf("the line that changed was touched %d times, want once; all: %v", n, touched)
	}
	if touched["Quit"]+touched["About Immutray"] != 0 {
		t.Errorf("what never changes was touched: %v", touched)
	}
	if touched[itemInterface+".NewIcon"] != 1 {
		t.Errorf("the icon was changed %d times, want once", touched[itemInterface+".NewIcon"])
	}
}

func TestEndOfTheSessionEndsTheApplet(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	item := p.item()
	eventually(t, "the icon", func() string { return describe(item.pixmaps()) }, describe(pixmaps(icons.Locked, icons.Color)))
	var pid uint32 // of the bus's own daemon, which this test started
	call := p.conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, "org.freedesktop.DBus")
	if err := call.Store(&pid); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(int(pid), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.expect("ended: the session bus is gone")
	c.waitEnd()
}

func TestSecondStartSaysSo(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startChild(t, bus, defaultSettings(), lockedAt)
	p.item()
	second := startChild(t, bus, defaultSettings(), lockedAt)
	second.expect("ended: immutray is already running in this session")
	second.waitEnd()
}

func TestEveryEntryHasASlot(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	// As much as a menu can have at once, but for what excludes the other.
	full := report{
		Status:   helper.Status{State: helper.Unknown},
		NotReady: strings.Split(strings.Repeat("why ", maxWhy+3), " "),
	}
	for range maxPaths + 3 {
		full.Status.Paths = append(full.Status.Paths, path("/p", helper.ReadOnly, helper.ReadOnly))
	}
	full.Status.StillReadOnly = []helper.Bystander{{Unit: "cups.service"}}
	for i := range 5 {
		full.Status.StillReadOnly = append(full.Status.StillReadOnly, helper.Bystander{Unit: fmt.Sprintf("docker.%s%d.service", strings.Repeat("long", 20), i)})
	}
	windows := make(playedPast, maxPast)
	settings := defaultSettings()
	startChildWith(t, bus, order{Settings: &settings, Past: windows}, full)
	item := p.item()
	want := strings.Count(build(snapshot{Report: full, Past: &past{Past: history.Past{Windows: windows}}}).text(), "\n") - 1 // without the icon's line
	eventually(t, "the number of entries", func() int { return strings.Count(item.text(), "\n") }, want)
}
