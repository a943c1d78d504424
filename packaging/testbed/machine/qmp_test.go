package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"net"
	"sync"
	"time"
)

// monitor is the connection to QEMU by which a test sees the screen and has hands: the
// QEMU machine protocol, one JSON object a line (docs/interop/qmp-spec.rst in QEMU).
type monitor struct {
	mu      sync.Mutex
	conn    net.Conn
	decoder *json.Decoder
}

// monitorTimeout is how long one command may take: a picture of the screen takes a
// fraction of a second, on a busy machine a few.
const monitorTimeout = 30 * time.Second

func connectMonitor(socket string) (*monitor, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn: conn, decoder: json.NewDecoder(conn)}
	var greeting struct{ QMP json.RawMessage }
	if err := m.decoder.Decode(&greeting); err != nil {
		conn.Close()
		return nil, err
	}
	if err := m.run("qmp_capabilities", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

func (m *monitor) run(command string, arguments any) error {
	return m.ask(command, arguments, nil)
}

// ask puts what QEMU answers into answer, unless that is nil.
func (m *monitor) ask(command string, arguments, answer any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.conn.SetDeadline(time.Now().Add(monitorTimeout)); err != nil {
		return err
	}
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return fmt.Errorf("cannot ask QEMU to %s: %w", command, err)
	}
	for {
		var reply struct {
			Return json.RawMessage `json:"return"`
			Error  *struct{ Desc string }
		}
		if err := m.decoder.Decode(&reply); err != nil {
			return fmt.Errorf("cannot ask QEMU to %s: %w", command, err)
		}
		switch {
		case reply.Error != nil:
			return fmt.Errorf("QEMU cannot %s: %s", command, reply.Error.Desc)
		case reply.Return != nil && answer != nil:
			return json.Unmarshal(reply.Return, answer)
		case reply.Return != nil:
			return nil
		}
		// Else it was an event.
	}
}

// asleep reports whether the machine sleeps.
func (m *monitor) asleep() (bool, error) {
	var answer struct{ Status string } // RunState in QAPI
	err := m.ask("query-status", nil, &answer)
	return answer.Status == "suspended", err
}

// wakeUp ends a sleep, as a key of a real machine's keyboard does.
func (m *monitor) wakeUp() error { return m.run("system_wakeup", nil) }

// save writes the memory and the devices of the machine to a file, from which QEMU's
// "-incoming" goes on; the machine then stands still. It does so from the beginning: of one
// that runs meanwhile, pages were saved once that did not belong together.
func (m *monitor) save(file string) error {
	if err := m.run("stop", nil); err != nil {
		return err
	}
	if err := m.run("migrate", map[string]any{"uri": "exec:cat >" + file}); err != nil {
		return err
	}
	return waitFor("QEMU to save the machine", saveTime, func() error {
		var answer struct {
			Status    string
			ErrorDesc string `json:"error-desc"`
		}
		err := m.ask("query-migrate", nil, &answer)
		switch {
		case err != nil || answer.Status == "completed":
			return err
		case answer.Status == "failed":
			return final{errors.New(answer.ErrorDesc)}
		}
		return fmt.Errorf("it is %s", answer.Status)
	})
}

// goOn lets a machine run that was saved, when QEMU has read it.
func (m *monitor) goOn() error {
	err := waitFor("QEMU to read the machine", saveTime, func() error {
		var answer struct{ Status string } // RunState in QAPI
		if err := m.ask("query-status", nil, &answer); err != nil || answer.Status == "paused" {
			return err
		}
		return fmt.Errorf("it is %s", answer.Status)
	})
	if err != nil {
		return err
	}
	return m.run("cont", nil)
}

// saveTime is how long half a gigabyte may take on the way to a slow disk.
const saveTime = 2 * time.Minute

// screendump writes a picture of the screen, as "png" or "ppm".
func (m *monitor) screendump(file, format string) error {
	return m.run("screendump", map[string]any{"filename": file, "format": format})
}

type inputEvent struct {
	Type string         `json:"type"`
	Data map[string]any `json:"data"`
}

func (m *monitor) input(events ...inputEvent) error {
	return m.run("input-send-event", map[string]any{"events": events})
}

// The pointer is a tablet, whose axes go from 0 to this (InputMoveEvent in QAPI).
const axisMax = 0x7fff

func (m *monitor) movePointer(to image.Point, screen image.Rectangle) error {
	axis := func(name string, at, size int) inputEvent {
		return inputEvent{"abs", map[string]any{"axis": name, "value": (2*at + 1) * axisMax / (2 * size)}}
	}
	return m.input(axis("x", to.X, screen.Dx()), axis("y", to.Y, screen.Dy()))
}

func (m *monitor) button(down bool) error {
	return m.input(inputEvent{"btn", map[string]any{"button": "left", "down": down}})
}

func (m *monitor) key(name string, down bool) error {
	return m.input(inputEvent{"key", map[string]any{
		"key":  map[string]any{"type": "qcode", "data": name},
		"down": down,
	}})
}
