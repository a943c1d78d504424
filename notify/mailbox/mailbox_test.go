package mailbox

import (
	"slices"
	"testing"
)

func TestMailbox(t *testing.T) {
	var m Mailbox[int]
	bell := m.Bell()
	select {
	case <-bell:
		t.Fatal("the bell of an empty mailbox rings")
	default:
	}
	for i := range 3 {
		m.Put(i) // nobody takes it meanwhile
	}
	<-bell
	if got := m.Take(); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("Take() = %v, want all, in order", got)
	}
	if got := m.Take(); got != nil {
		t.Errorf("Take() of an empty mailbox = %v", got)
	}
	m.Put(3)
	<-bell
	if got := m.Take(); !slices.Equal(got, []int{3}) {
		t.Errorf("Take() = %v, want what came later", got)
	}
}
