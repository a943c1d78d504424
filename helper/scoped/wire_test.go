package scoped

import (
	"bytes"
	"encoding/json"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
)

// Whatever comes in, the messages end, and each can be sent on as it was read.
func FuzzReceive(f *testing.F) {
	for _, m := range []message{
		{Order: &helper.Run{ID: "5f", Command: []string{"apt", "upgrade"}}},
		{
			Order: &helper.Run{ID: "5f", EvenSo: true}, Config: &config.Config{Paths: []string{"/"}, Drain: 1},
			Asked: &journal.Entry{Priority: 5, Message: "asked", Fields: map[string]string{journal.Verb: "run"}},
		},
		{Command: &process{PID: 7, Started: "4711"}}, {Error: "cannot find the command's mounts"},
		{Namespace: "/proc/1/task/1/ns/mnt"}, {End: true},
		{Result: &helper.Result{Outcome: helper.Done}, Lent: true, Unlocked: "5f"},
		{TakeOver: &message{TakeOver: &message{Error: "no"}}},
	} {
		line, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(line, '\n'))
	}
	f.Add([]byte(`{"end":true}{"end":false}{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for m := range receive(bytes.NewReader(data)) {
			var sent bytes.Buffer
			if err := send(&sent, m); err != nil {
				t.Fatalf("send() of what was received: %v", err)
			}
			again, ok := <-receive(&sent)
			before, _ := json.Marshal(m)
			after, _ := json.Marshal(again)
			if !ok || !bytes.Equal(before, after) {
				t.Errorf("%s is received as %s", before, after)
			}
		}
	})
}
