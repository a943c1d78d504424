package notifytest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// Name is the bus name of a notification server, and its interface.
	Name = "org.freedesktop.Notifications"
	// Path is where a notification server's object is.
	Path = "/org/freedesktop/Notifications"
)

// The reasons that a notification is closed for.
const (
	ReasonExpired   = 1
	ReasonDismissed = 2
	ReasonClosed    = 3
)

// A Post is one call of Notify.
type Post struct {
	ID       uint32 // what was returned
	Replaces uint32
	AppName  string
	Icon     string
	Summary  string
	Body     string
	Actions  []string // keys and labels by turns
	Hints    map[string]dbus.Variant
	Expire   int32
}

// State is what a server was asked for and shows.
type State struct {
	Posts []Post         // every Notify that was answered, in order
	Open  []Post         // what is on the screen
	Calls map[string]int // by method, those that were refused or hang included
}

// A Server is a notification server that does as the test says. It treats ids as
// GNOME Shell does, which is hardest on a client: one that is not on the screen any
// more can't be replaced, a new id comes back.
type Server struct {
	bus *Bus
	t   testing.TB

	mu           sync.Mutex
	changed      chan struct{} // closed, and made again, at every change
	conn         *dbus.Conn    // nil while there is no server
	nextID       uint32
	state        State
	capabilities []string
	failures     map[string]string // error names by method
	keepsOnClick bool
	hanging      map[string]chan struct{} // by method; closed when its calls go on
}

// NewServer returns a server that is not on the bus yet. It has the capabilities
// that matter: actions, body, body-markup.
func NewServer(t testing.TB, bus *Bus) *Server {
	t.Helper()
	s := &Server{
		bus:          bus,
		t:            t,
		changed:      make(chan struct{}),
		state:        State{Calls: map[string]int{}},
		capabilities: []string{"actions", "body", "body-markup"},
		failures:     map[string]string{},
		hanging:      map[string]chan struct{}{},
	}
	t.Cleanup(s.Stop)
	return s
}

// StartServer returns a server that owns its name on the bus.
func StartServer(t testing.TB, bus *Bus) *Server {
	t.Helper()
	s := NewServer(t, bus)
	s.Start()
	return s
}

// Start puts the server on the bus. It shows nothing, and counts ids from 1.
func (s *Server) Start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.connect()
	s.conn, s.nextID, s.state.Open = conn, 1, nil
	s.wake()
}

// connect returns a connection that owns the server's name and is served.
func (s *Server) connect() *dbus.Conn {
	s.t.Helper()
	conn, err := dbus.Connect(s.bus.Address)
	if err != nil {
		s.t.Fatalf("cannot connect the fake server: %v", err)
	}
	// From here on we read every message ourselves, before the name is ours: a
	// client calls as soon as it sees the name. So the name is asked for by hand.
	incoming := make(chan *dbus.Message, 1024)
	conn.Eavesdrop(incoming)
	owned := make(chan struct{})
	go s.serve(conn, incoming, owned)
	conn.Send(&dbus.Message{
		Type:  dbus.TypeMethodCall,
		Flags: dbus.FlagNoReplyExpected,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant("org.freedesktop.DBus"),
			dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/DBus")),
			dbus.FieldInterface:   dbus.MakeVariant("org.freedesktop.DBus"),
			dbus.FieldMember:      dbus.MakeVariant("RequestName"),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf("", uint32(0))),
		},
		Body: []any{Name, uint32(dbus.NameFlagDoNotQueue)},
	}, nil)
	select {
	case <-owned:
	case <-time.After(timeout):
		s.t.Fatalf("the fake server cannot own %s", Name)
	}
	return conn
}

// Stop takes the server off the bus, as a crash does: calls that hang are never
// answered.
func (s *Server) Stop() {
	s.mu.Lock()
	conn := s.conn
	s.conn, s.state.Open = nil, nil
	s.wake()
	s.mu.Unlock()
	if conn != nil {
		// godbus panics when a message comes in while Close closes the channel.
		conn.Eavesdrop(nil)
		conn.Close()
	}
	s.Hang(false)
}

// Restart is Stop and Start.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// SetCapabilities sets what GetCapabilities answers from now on.
func (s *Server) SetCapabilities(capabilities ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capabilities = capabilities
}

// SetError makes a method fail with the named D-Bus error, until the name is "".
func (s *Server) SetError(method, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[method] = name
}

// SetResident says whether the server keeps a notification with the resident hint
// after one of its actions was chosen. At first it does not: many don't.
func (s *Server) SetResident(keeps bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepsOnClick = keeps
}

// Hang makes the server answer no call, until it is told otherwise: then it answers
// those that wait.
func (s *Server) Hang(hang bool) {
	for _, method := range []string{"GetCapabilities", "Notify", "CloseNotification", "GetServerInformation"} {
		s.HangIn(method, hang)
	}
}

// HangIn is Hang for one method.
func (s *Server) HangIn(method string, hang bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	goesOn := s.hanging[method]
	switch {
	case hang && goesOn == nil:
		s.hanging[method] = make(chan struct{})
	case !hang && goesOn != nil:
		close(goesOn)
		delete(s.hanging, method)
	}
}

// Done returns a channel that is closed when the server's connection to the bus is.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.Context().Done()
}

// InvokeAction presses a button of a notification that is on the screen.
func (s *Server) InvokeAction(id uint32, key string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit("ActionInvoked", id, key)
	post, _ := find(s.state.Open, id)
	if resident, _ := post.Hints["resident"].Value().(bool); !resident || !s.keepsOnClick {
		s.dismiss(id)
	}
}

// Dismiss closes a notification as a click on its cross does.
func (s *Server) Dismiss(id uint32) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dismiss(id)
}

func (s *Server) dismiss(id uint32) {
	s.take(id)
	s.emit("NotificationClosed", id, uint32(ReasonDismissed))
}

// Emit sends one of the server's signals, whatever is on the screen.
func (s *Server) Emit(member string, args ...any) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(member, args...)
}

// State returns a copy of what the server was asked for and shows.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

func (s State) clone() State {
	calls := map[string]int{}
	for method, n := range s.Calls {
		calls[method] = n
	}
	return State{Posts: slices.Clone(s.Posts), Open: slices.Clone(s.Open), Calls: calls}
}

// WaitFor waits until the server's state is as the test wants it, and returns it.
func (s *Server) WaitFor(what string, is func(State) bool) State {
	s.t.Helper()
	giveUp := time.After(timeout)
	for {
		s.mu.Lock()
		state, changed := s.state.clone(), s.changed
		s.mu.Unlock()
		if is(state) {
			return state
		}
		select {
		case <-changed:
		case <-giveUp:
			s.t.Fatalf("waited %v for %s; the server has %+v", timeout, what, state)
		}
	}
}

// WaitForPosts waits until Notify was called n times, and returns the last Post.
func (s *Server) WaitForPosts(n int) Post {
	s.t.Helper()
	state := s.WaitFor("posts", func(st State) bool { return len(st.Posts) >= n })
	if len(state.Posts) > n {
		s.t.Fatalf("%d notifications were posted, want %d: %+v", len(state.Posts), n, state.Posts)
	}
	return state.Posts[n-1]
}

// WaitForOpen waits until n notifications are on the screen.
func (s *Server) WaitForOpen(n int) []Post {
	s.t.Helper()
	return s.WaitFor("open notifications", func(st State) bool { return len(st.Open) == n }).Open
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
