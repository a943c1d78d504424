// Package mailbox hands work from many goroutines to one.
package mailbox

import "sync"

// A Mailbox holds what a goroutine has still to do, in order. Put never waits, so a
// goroutine that serves a bus may call it. The zero value is an empty mailbox.
type Mailbox[T any] struct {
	mu   sync.Mutex
	bell chan struct{}
	mail []T
}

// Put adds something.
func (m *Mailbox[T]) Put(one T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mail = append(m.mail, one)
	select {
	case m.theBell() <- struct{}{}:
	default: // it has been rung already
	}
}

// Bell returns a channel that has a value while there is something to take.
func (m *Mailbox[T]) Bell() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.theBell()
}

// Take empties the mailbox and returns what was in it.
func (m *Mailbox[T]) Take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	mail := m.mail
	m.mail = nil
	return mail
}

func (m *Mailbox[T]) theBell() chan struct{} {
	if m.bell == nil {
		m.bell = make(chan struct{}, 1)
	}
	return m.bell
}
