package machine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A listener hears what is said on a bus of the guest in some interfaces.
type listener struct {
	vm   *vm
	file string // in the guest
}

// listen begins to listen, as a user of the guest: on the system's bus as root, else on
// the bus of that person's session, as soon as there is one.
//
// busctl(1) does not say when it hears everything: that is when it hears us.
const listen = `set -e
user=%[1]s unit=%[2]s interface=%[3]s
bus=/run/dbus/system_bus_socket
[ $user = root ] || bus=/run/user/$(id --user $user)/bus
until test -S $bus; do sleep 0.5; done
systemd-run --quiet --collect --unit=$unit --uid=$user --property=StandardOutput=truncate:/run/$unit \
	busctl --address=unix:path=$bus --json=short%[4]s monitor
until grep -q '"Listening"' /run/$unit; do
	setpriv --reuid=$user --regid=$user --init-groups busctl --address=unix:path=$bus emit / $interface Listening
	sleep 0.5
done`

func (v *vm) listen(user, unit string, interfaces ...string) (*listener, error) {
	var matches strings.Builder
	for _, name := range interfaces {
		fmt.Fprintf(&matches, ` --match="interface='%s'"`, name)
	}
	_, err := v.as(root).run(fmt.Sprintf(listen, user, unit, interfaces[0], matches.String()))
	if err != nil {
		return nil, fmt.Errorf("cannot listen to the bus of %s: %w", user, err)
	}
	return &listener{v, "/run/" + unit}, nil
}

// messages returns the arguments of every message of the name that was heard.
func (l *listener) messages(member string) ([][]json.RawMessage, error) {
	heard, err := l.vm.as(root).run("cat " + l.file)
	if err != nil {
		return nil, err
	}
	var messages [][]json.RawMessage
	for line := range strings.Lines(heard) {
		var m struct {
			Member  string
			Payload struct{ Data []json.RawMessage }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return nil, fmt.Errorf("cannot read what was heard on the bus: %w: %s", err, line)
		}
		if m.Member == member {
			messages = append(messages, m.Payload.Data)
		}
	}
	return messages, nil
}

// unpack reads the arguments of a message, as many as are asked for.
func unpack(arguments []json.RawMessage, to ...any) error {
	if len(arguments) < len(to) {
		return fmt.Errorf("cannot read %d arguments of %s", len(to), arguments)
	}
	for i, into := range to {
		if err := json.Unmarshal(arguments[i], into); err != nil {
			return fmt.Errorf("cannot read argument %d of %s: %w", i, arguments, err)
		}
	}
	return nil
}

// notifications is the interface of notification daemons.
const notifications = "org.freedesktop.Notifications"

// A notification is what the applet asked the daemon to show.
type notification struct {
	Summary, Body string
	Actions       []string // name and label, in turn
	Urgency       int
	Expire        time.Duration // 0: never
}

// critical is the highest urgency there is (Desktop Notifications Specification).
const critical = 2

func (l *listener) notifications() ([]notification, error) {
	messages, err := l.messages("Notify")
	if err != nil {
		return nil, err
	}
	var shown []notification
	for _, m := range messages {
		var app, icon string
		var replaces uint32
		var n notification
		var hints struct{ Urgency struct{ Data int } }
		var expire int64
		if err := unpack(m, &app, &replaces, &icon, &n.Summary, &n.Body, &n.Actions, &hints, &expire); err != nil {
			return nil, err
		}
		if app != "Immutray" {
			return nil, fmt.Errorf("cannot tell who says %+v: it is from %q", n, app)
		}
		n.Urgency = hints.Urgency.Data
		n.Expire = time.Duration(expire) * time.Millisecond
		shown = append(shown, n)
	}
	return shown, nil
}

// statusNotifierItem is the interface of icons in a tray. A click is "Activate".
const statusNotifierItem = "org.kde.StatusNotifierItem"

// authenticationAgent is the interface of those who ask for passwords for polkit.
const authenticationAgent = "org.freedesktop.PolicyKit1.AuthenticationAgent"

// A question is what polkit has an agent ask.
type question struct {
	Action, Message, Icon string
	UIDs                  []int // whose password it may be
}

func (l *listener) questions() ([]question, error) {
	messages, err := l.messages("BeginAuthentication")
	if err != nil {
		return nil, err
	}
	var asked []question
	for _, m := range messages {
		var q question
		var details, cookie json.RawMessage
		var identities [][]json.RawMessage
		if err := unpack(m, &q.Action, &q.Message, &q.Icon, &details, &cookie, &identities); err != nil {
			return nil, err
		}
		for _, identity := range identities {
			var kind string
			var who struct{ UID struct{ Data int } }
			if err := unpack(identity, &kind, &who); err != nil {
				return nil, err
			}
			q.UIDs = append(q.UIDs, who.UID.Data)
		}
		asked = append(asked, q)
	}
	return asked, nil
}
