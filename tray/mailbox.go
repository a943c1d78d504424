package tray

import "sync"

// A mailbox holds what a goroutine has to do, in order. Putting something in never
// waits, so that the goroutines of the bus can.
type mailbox struct {
	bell chan struct{} // has a token while there is mail

	mu   sync.Mutex
	mail []func()
}

func newMailbox() *mailbox { return &mailbox{bell: make(chan struct{}, 1)} }

func (m *mailbox) put(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mail = append(m.mail, do)
	select {
	case m.bell <- struct{}{}:
	default:
	}
}

// empty does everything that is there.
func (m *mailbox) empty() {
	m.mu.Lock()
	mail := m.mail
	m.mail = nil
	m.mu.Unlock()
	for _, do := range mail {
		do()
	}
}
