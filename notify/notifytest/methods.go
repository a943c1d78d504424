package notifytest

import (
	"slices"

	"github.com/godbus/dbus/v5"
)

// serve answers the calls that come in, until the connection ends, and says when
// the server's name is owned.
//
// It does not export methods on the connection: godbus would send the answer some
// time after the method has returned, and a test that presses a button as soon as
// it sees the notification would have its signal overtake the answer. No daemon does
// that, they do one thing at a time.
func (s *Server) serve(conn *dbus.Conn, incoming <-chan *dbus.Message, owned chan<- struct{}) {
	for {
		var msg *dbus.Message
		select {
		case msg = <-incoming:
		case <-conn.Context().Done():
			return
		}
		switch {
		case msg == nil: // the bus is gone
			return
		case msg.Type == dbus.TypeMethodCall:
			// On its own goroutine, for it may hang.
			go s.answer(conn, msg)
		case msg.Type == dbus.TypeSignal && msg.Headers[dbus.FieldMember].Value() == "NameAcquired" && msg.Body[0] == Name:
			close(owned)
		}
	}
}

func (s *Server) answer(conn *dbus.Conn, call *dbus.Message) {
	method, _ := call.Headers[dbus.FieldMember].Value().(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Calls[method]++
	s.wake()
	if hanging := s.hanging[method]; hanging != nil {
		s.mu.Unlock()
		select {
		case <-hanging:
		case <-conn.Context().Done():
		}
		s.mu.Lock()
	}
	if conn != s.conn {
		return // it belongs to a server that was stopped
	}
	failure := s.failures[method]
	var values []any
	var then func()
	if failure == "" {
		values, then, failure = s.call(method, call.Body)
	}
	reply := &dbus.Message{
		Type: dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
			dbus.FieldDestination: call.Headers[dbus.FieldSender],
		},
		Body: values,
	}
	if failure != "" {
		reply.Type = dbus.TypeError
		reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant(failure)
		reply.Body = []any{"the test says so"}
	}
	if len(reply.Body) > 0 {
		reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(reply.Body...))
	}
	if call.Flags&dbus.FlagNoReplyExpected == 0 {
		conn.Send(reply, nil)
	}
	if then != nil {
		then()
	}
	s.wake()
}

// call does what a method of the specification says. It returns the answer, and what
// is to be done after that, or the name of an error. The caller holds mu.
func (s *Server) call(method string, args []any) (values []any, then func(), failure string) {
	const invalid = "org.freedesktop.DBus.Error.InvalidArgs"
	switch method {
	case "GetServerInformation":
		return []any{"notifytest", "Immutray", "1", "1.2"}, nil, ""
	case "GetCapabilities":
		return []any{append([]string{}, s.capabilities...)}, nil, ""
	case "Notify":
		var p Post
		if dbus.Store(args, &p.AppName, &p.Replaces, &p.Icon, &p.Summary, &p.Body, &p.Actions, &p.Hints, &p.Expire) != nil {
			return nil, nil, invalid
		}
		p = s.show(p)
		return []any{p.ID}, nil, ""
	case "CloseNotification":
		var id uint32
		if dbus.Store(args, &id) != nil {
			return nil, nil, invalid
		}
		if !s.take(id) {
			return nil, nil, "org.freedesktop.DBus.Error.Failed"
		}
		return nil, func() { s.emit("NotificationClosed", id, uint32(ReasonClosed)) }, ""
	}
	return nil, nil, "org.freedesktop.DBus.Error.UnknownMethod"
}

// show puts a notification on the screen. The caller holds mu.
func (s *Server) show(p Post) Post {
	open := slices.Clone(s.state.Open)
	if _, i := find(open, p.Replaces); i >= 0 {
		p.ID = p.Replaces
		open[i] = p
	} else {
		p.ID = s.nextID
		s.nextID++
		open = append(open, p)
	}
	s.state.Open = open
	s.state.Posts = append(s.state.Posts, p)
	return p
}

// take takes a notification off the screen. The caller holds mu.
func (s *Server) take(id uint32) bool {
	_, i := find(s.state.Open, id)
	if i < 0 {
		return false
	}
	s.state.Open = slices.Delete(slices.Clone(s.state.Open), i, i+1)
	s.wake()
	return true
}

// emit sends a signal. The caller holds mu.
func (s *Server) emit(member string, args ...any) {
	if s.conn == nil {
		s.t.Errorf("no fake server to emit %s", member)
		return
	}
	if err := s.conn.Emit(Path, Name+"."+member, args...); err != nil {
		s.t.Errorf("cannot emit %s: %v", member, err)
	}
}

func find(posts []Post, id uint32) (Post, int) {
	i := slices.IndexFunc(posts, func(p Post) bool { return p.ID == id })
	if i < 0 {
		return Post{}, i
	}
	return posts[i], i
}
