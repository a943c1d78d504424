package tray

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// A statusItem holds the properties of StatusNotifierItem that a tray reads, and says which of
// them have changed.
//
// systray exports them too, but for an ordinary application that never needs attention, with
// one size of the picture, and with a title that every program of the session can set. Status
// and Category are fixed in its createPropSpec. So its object for the properties is replaced,
// at the same path of the same connection; its methods, such as Activate, stay.
type statusItem struct {
	conn   *dbus.Conn
	mu     sync.Mutex
	values map[string]dbus.Variant
}

const (
	itemPath      = "/StatusNotifierItem"
	itemInterface = "org.kde.StatusNotifierItem"
	itemMenu      = dbus.ObjectPath(itemPath + "/menu") // systray's
	// itemID is what trays remember an item by.
	itemID = "immutray"

	propertiesInterface = "org.freedesktop.DBus.Properties"
)

// The values of the property Status that are used.
const (
	active         = "Active"
	needsAttention = "NeedsAttention"
)

// A toolTip is the property ToolTip, (sa(iiay)ss).
type toolTip struct {
	Icon    string
	Pixmaps []pixmap
	Title   string
	Text    string
}

// newStatusItem makes the properties: those that never change and those that are shown. isMenu
// says that a click opens the menu.
func newStatusItem(conn *dbus.Conn, isMenu bool, shown map[string]any) *statusItem {
	item := &statusItem{conn: conn, values: map[string]dbus.Variant{}}
	item.put(map[string]any{
		"Category": "SystemServices", "Id": itemID, "ItemIsMenu": isMenu, "Menu": itemMenu, "IconThemePath": "",
	})
	item.put(shown)
	return item
}

// export replaces systray's properties. A tray may have read those already, so all of ours are
// announced.
func (i *statusItem) export() error {
	if err := i.conn.Export(i, itemPath, propertiesInterface); err != nil {
		return fmt.Errorf("cannot put the icon into the tray: %w", err)
	}
	values, _ := i.GetAll(itemInterface)
	return i.announce(values)
}

// set changes properties.
func (i *statusItem) set(changes map[string]any) error {
	if len(changes) == 0 {
		return nil
	}
	return i.announce(i.put(changes))
}

// put keeps properties, and returns them as they are sent.
func (i *statusItem) put(changes map[string]any) map[string]dbus.Variant {
	values := make(map[string]dbus.Variant, len(changes))
	for name, value := range changes {
		values[name] = dbus.MakeVariant(value)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.Copy(i.values, values)
	return values
}

// announce has trays read properties again. Most follow the signals of the interface itself,
// some that of D-Bus. The status is the last: with it GNOME turns to the other picture.
func (i *statusItem) announce(values map[string]dbus.Variant) error {
	errs := []error{i.conn.Emit(itemPath, propertiesInterface+".PropertiesChanged", itemInterface, values, []string{})}
	for _, signal := range []struct{ property, name string }{
		{"AttentionIconPixmap", "NewAttentionIcon"},
		{"IconPixmap", "NewIcon"},
		{"Title", "NewTitle"},
		{"ToolTip", "NewToolTip"},
	} {
		if _, changed := values[signal.property]; changed {
			errs = append(errs, i.conn.Emit(itemPath, itemInterface+"."+signal.name))
		}
	}
	if status, changed := values["Status"]; changed {
		errs = append(errs, i.conn.Emit(itemPath, itemInterface+".NewStatus", status.Value()))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot change the icon: %w", err)
	}
	return nil
}

// Get is org.freedesktop.DBus.Properties.Get.
func (i *statusItem) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	values, err := i.GetAll(iface)
	if err != nil {
		return dbus.Variant{}, err
	}
	value, ok := values[name]
	if !ok {
		return dbus.Variant{}, prop.ErrPropNotFound
	}
	return value, nil
}

// GetAll is org.freedesktop.DBus.Properties.GetAll.
func (i *statusItem) GetAll(iface string) (map[string]dbus.Variant, *dbus.Error) {
	if iface != itemInterface {
		return nil, prop.ErrIfaceNotFound
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.values), nil
}

// Set is org.freedesktop.DBus.Properties.Set: no program can change what is shown.
func (i *statusItem) Set(iface, name string, _ dbus.Variant) *dbus.Error {
	if _, err := i.Get(iface, name); err != nil {
		return err
	}
	return prop.ErrReadOnly
}

// shownProperties are the properties, other than the pictures, in which two models differ.
func shownProperties(before *model, m model) map[string]any {
	changes := map[string]any{}
	if before == nil || before.Title != m.Title {
		changes["Title"] = m.Title
	}
	if before == nil || before.Tooltip != m.Tooltip {
		changes["ToolTip"] = toolTip{Pixmaps: []pixmap{}, Title: m.Tooltip}
	}
	if before == nil || before.Urgent != m.Urgent {
		changes["Status"] = active
		if m.Urgent {
			changes["Status"] = needsAttention
		}
	}
	return changes
}
