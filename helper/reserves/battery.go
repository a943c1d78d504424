package reserves

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const (
	upowerName   = "org.freedesktop.UPower"
	upowerPath   = dbus.ObjectPath("/org/freedesktop/UPower")
	upowerDevice = "org.freedesktop.UPower.Device"
	// maxDevices bounds what UPower is asked: each wireless mouse is a device.
	maxDevices = 64
)

// Values of a device's Type and State (org.freedesktop.UPower.Device).
const (
	typeBattery = uint32(2) // a UPS is 3

	charging    = uint32(1)
	discharging = uint32(2)
	empty       = uint32(3)
)

// A cell is a battery as UPower describes it.
type cell struct {
	kind, state            uint32
	supplies, present      bool // whether it powers the computer, and is built in now
	percentage, have, hold float64
}

// charge returns how full the computer's own batteries are, in percent, and whether they
// are discharging. UPower's DisplayDevice is no alternative: it may be a UPS.
func charge(cells []cell) (percent float64, emptying bool) {
	var sum, have, hold float64
	known, n, fed := true, 0, false
	for _, c := range cells {
		if c.kind != typeBattery || !c.supplies || !c.present {
			continue // a headset's, a UPS's, an empty bay's
		}
		n++
		sum, have, hold = sum+c.percentage, have+c.have, hold+c.hold
		known = known && c.hold > 0
		emptying = emptying || c.state == discharging || c.state == empty
		fed = fed || c.state == charging
	}
	switch {
	case n == 0:
		return 0, false
	case known && n > 1: // a small one may be empty beside a full one
		percent = 100 * have / hold
	default:
		percent = sum / float64(n)
	}
	return percent, emptying && !fed
}

// batteries asks UPower on the bus at address.
func batteries(ctx context.Context, address string) ([]cell, error) {
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the battery: %w", err)
	}
	defer conn.Close()
	var paths []dbus.ObjectPath
	err = conn.Object(upowerName, upowerPath).CallWithContext(ctx, upowerName+".EnumerateDevices", 0).Store(&paths)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the battery: %w", err)
	}
	var cells []cell
	for _, path := range paths[:min(len(paths), maxDevices)] {
		var device map[string]dbus.Variant
		err := conn.Object(upowerName, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, upowerDevice).Store(&device)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("cannot ask for the battery: %w", ctx.Err())
		}
		if err == nil { // else it has been removed
			cells = append(cells, cellOf(device))
		}
	}
	return cells, nil
}

func cellOf(device map[string]dbus.Variant) cell {
	var c cell
	c.kind, _ = device["Type"].Value().(uint32)
	c.state, _ = device["State"].Value().(uint32)
	c.supplies, _ = device["PowerSupply"].Value().(bool)
	c.present, _ = device["IsPresent"].Value().(bool)
	c.percentage, _ = device["Percentage"].Value().(float64)
	c.have, _ = device["Energy"].Value().(float64)
	c.hold, _ = device["EnergyFull"].Value().(float64)
	return c
}
