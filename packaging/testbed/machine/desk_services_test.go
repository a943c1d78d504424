package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
)

// startImmutray starts the applet of the person at the desk.
const startImmutray = `systemd-run --quiet --collect --unit=again --slice=user-1000.slice --uid=rrs \
	--setenv=DISPLAY=:0 --setenv=XDG_RUNTIME_DIR=/run/user/1000 \
	--setenv=DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus immutray`

// A service that an unlock has not reached is restarted from the menu: systemd asks for the
// password. It then stays allowed for a while, and the agent shows an icon of its own next to
// the padlock; so this comes last before the logout.
func (d *desk) restartsServices(t *testing.T) {
	unlock(t, d.vm)
	must(t, d.as(root), startImmutray)
	must(t, d.as(root), "systemd-run --quiet --unit=left-behind sleep infinity")
	before := mainPID(t, d.vm)
	// No service of this machine is out of an unlock's reach, so it is recorded of one.
	record := fmt.Sprintf(`"still_read_only":[{"unit":"left-behind.service","program":"sleep","pid":%s}],`, before)
	must(t, d.as(root), `cd /run/immutray && sed '0,/{/s//{`+record+`/' state.json >state.new && chmod --reference=state.json state.new && mv state.new state.json`)
	d.choose(t, "Restart it…")
	_, err := d.waitForPrompt(0)
	check(t, err)
	takePicture(t, d.vm, "restart-prompt")
	all, err := d.prompts.questions()
	check(t, err)
	asked := all[d.asked:]
	d.asked = len(all)
	if len(asked) != 1 || asked[0].Action != "org.freedesktop.systemd1.manage-units" {
		t.Errorf("polkit asked %+v, want it for systemd", asked)
	}
	d.answer(t, adminPassword)
	check(t, d.noPrompt())
	check(t, waitFor("the service to be restarted", noteTime, func() error {
		if now := mainPID(t, d.vm); now == before || now == "0" {
			return fmt.Errorf("its process is %s, and was %s", now, before)
		}
		return nil
	}))
	// It is no longer among those that were left behind.
	check(t, waitFor("the menu to forget it", noteTime, func() error {
		if _, err := idOf(d.menu(t), "Restart it…"); err == nil {
			return errors.New("it has not")
		}
		return nil
	}))
	expectState(t, d.vm, helper.Unlocked)
	must(t, d.as(root), "systemctl stop left-behind again")
	lock(t, d.vm)
	check(t, d.as(admin).logOut()) // the last logout is that of the desk
}

func mainPID(t *testing.T, v *vm) string {
	t.Helper()
	return strings.TrimSpace(must(t, v.as(root), "systemctl show --property=MainPID --value left-behind"))
}

// onMenu is a call of the applet's menu (com.canonical.dbusmenu), which panels make.
const onMenu = `name=$(busctl --user --no-legend --full list | grep -o '^org.kde.StatusNotifierItem[^ ]*' | head -n 1) &&
	busctl --user --json=short -- call $name /StatusNotifierItem/menu com.canonical.dbusmenu `

// menu returns the entries of the applet's menu, as the bus tells them.
func (d *desk) menu(t *testing.T) string {
	t.Helper()
	return must(t, d.as(admin), onMenu+"GetLayout iias 0 -1 0")
}

// choose has the applet told of a click on the entry with that label, as soon as there is one.
func (d *desk) choose(t *testing.T, label string) {
	t.Helper()
	check(t, waitFor("the entry "+label, noteTime, func() error {
		id, err := idOf(d.menu(t), label)
		if err != nil {
			return err
		}
		must(t, d.as(admin), fmt.Sprintf(onMenu+"Event isvu %d clicked s '' 0", id))
		return nil
	}))
}

// idOf finds the visible entry with a label in the answer to GetLayout: entries of an id, properties
// and the entries below.
func idOf(layout, label string) (int, error) {
	var answer struct{ Data []json.RawMessage }
	if err := json.Unmarshal([]byte(layout), &answer); err != nil {
		return 0, err
	}
	var revision int
	var root json.RawMessage
	if err := unpack(answer.Data, &revision, &root); err != nil {
		return 0, err
	}
	entries := []json.RawMessage{root}
	for len(entries) > 0 {
		var fields []json.RawMessage
		if err := json.Unmarshal(entries[0], &fields); err != nil {
			return 0, err
		}
		var id int
		var properties struct {
			Label   struct{ Data string }
			Visible struct{ Data bool }
		}
		var below []struct{ Data json.RawMessage }
		if err := unpack(fields, &id, &properties, &below); err != nil {
			return 0, err
		}
		if properties.Visible.Data && properties.Label.Data == label {
			return id, nil
		}
		entries = entries[1:]
		for _, e := range below {
			entries = append(entries, e.Data)
		}
	}
	return 0, fmt.Errorf("the menu has no entry %q: %s", label, layout)
}
