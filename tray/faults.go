package tray

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper/text"
	"immutray.org/icons"
	"immutray.org/notify"
)

const (
	// slotSettings is the notification slot of what is wrong with the settings.
	slotSettings = "settings"
	// maxFaults is how many faults the notification names: daemons cut long ones.
	maxFaults = 3
)

// SettingsRead says what the person's settings are. It does not wait.
func (c *controller) SettingsRead(file settingsFile) {
	c.in.Put(func() { c.settingsRead(file) })
}

func (c *controller) settingsRead(file settingsFile) {
	if file.Settings != c.Settings {
		c.Settings = file.Settings
		c.Reminders.Use(file.Settings.Remind)
	}
	if slices.Equal(file.Faults, c.faults) {
		return
	}
	c.faults = file.Faults
	for _, fault := range file.Faults {
		c.Log.Warn("a setting is not used", "file", file.Path, "error", fault)
	}
	if len(file.Faults) > 0 {
		c.post(slotSettings, faultsNotification(file))
	} else {
		c.send(func(ctx context.Context) error { return c.Notes.Close(ctx, slotSettings) })
	}
}

func faultsNotification(file settingsFile) notify.Notification {
	lines := []string{text.Name(file.Path, maxText)}
	for i, fault := range file.Faults {
		if i == maxFaults {
			lines = append(lines, andMore(len(file.Faults)-i))
			break
		}
		lines = append(lines, sentence(fault))
	}
	return notify.Notification{
		Summary: faultsWords(len(file.Faults)),
		Body:    strings.Join(lines, "\n"),
		Urgency: notify.Normal,
		Icon:    string(icons.Application),
	}
}

func faultsWords(n int) string {
	if n == 1 {
		return "A setting of yours is not used"
	}
	return fmt.Sprintf("%d of your settings are not used", n)
}

func faultsLabel(s snapshot) string {
	if len(s.Faults) == 0 {
		return ""
	}
	return faultsWords(len(s.Faults))
}

func faultLines(s snapshot) ([]string, int) {
	var lines []string
	for _, fault := range s.Faults {
		lines = append(lines, wrap(sentence(fault))...)
	}
	return lines, 0
}

// sayMenuLater answers a click that should open the menu: the panel decides that by what the
// icon said of itself when it appeared.
func (c *controller) sayMenuLater() {
	c.post(notify.SlotFeedback, notify.Notification{
		Summary: "A click will open the menu",
		Body:    "Choose Quit in the menu, then start Immutray again.",
		Urgency: notify.Normal,
		Icon:    string(icons.Application),
	})
}
