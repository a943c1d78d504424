package server

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"immutray.org/helper"
)

// However many locks are asked for, all that wait are done as one: a user who asks again and
// again does not make others wait.
func TestManyLocksAreOne(t *testing.T) {
	d := newDelegating(t)
	q, err := openQueue(d.config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	var tickets []*ticket
	for i := range 40 {
		tickets = append(tickets, put(t, q, helper.Request{Verb: helper.Lock, ID: fmt.Sprint(i), UID: uint32(1000 + i)}))
	}
	d.work("immutray-lock.service")
	if got := len(d.worker.worked); got != 1 {
		t.Errorf("%d requests cost %d locks, want 1", len(tickets), got)
	}
	for _, ticket := range tickets {
		if r, err := ticket.answer(); err != nil || r == nil || r.Outcome != helper.Done {
			t.Errorf("answer to %+v: %+v, %v", ticket.request, r, err)
		}
		ticket.close()
	}
}

// Unlocks are no two alike: each is done by itself, in the order they came.
func TestUnlocksAreDoneInTheirOrder(t *testing.T) {
	d := newDelegating(t)
	q, err := openQueue(d.config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	var want []helper.Request
	for i, id := range []string{"z", "a", "m"} {
		ticket := put(t, q, helper.Request{Verb: helper.Unlock, ID: id})
		defer ticket.close()
		at := time.Now().Add(time.Duration(i) * time.Second)
		if err := os.Chtimes(filepath.Join(q.Path, "unlock."+id), at, at); err != nil {
			t.Fatal(err)
		}
		want = append(want, ticket.request)
	}
	d.work("immutray-unlock.service")
	if !reflect.DeepEqual(d.worker.worked, want) {
		t.Errorf("worked for %+v, want %+v", d.worker.worked, want)
	}
}
