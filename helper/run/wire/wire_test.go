package wire

import (
	"bytes"
	"encoding/json"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

// Whatever comes in, the messages end, and each can be sent on as it was read.
func FuzzReceive(f *testing.F) {
	for _, m := range []Message{
		{Version: helper.Handshake},
		{Order: &helper.Run{ID: "5f", Command: []string{"apt", "upgrade"}}},
		{
			Version: helper.Handshake, Order: &helper.Run{ID: "5f", EvenSo: true}, Config: &config.Config{Paths: []string{"/"}, Drain: 1},
			Parent: 7,
		},
		{Command: &Process{PID: 7, Started: "4711"}}, {Error: "cannot find the command's mounts"},
		{Namespace: "/proc/1/task/1/ns/mnt"}, {End: true},
		{Result: &helper.Result{Outcome: helper.Done}, Granted: true, Unlocked: "5f"},
		{TakeOver: &Message{TakeOver: &Message{Error: "no"}}},
	} {
		line, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(line, '\n'))
	}
	f.Add([]byte(`{"end":true}{"end":false}{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for m := range Receive(bytes.NewReader(data)) {
			var sent bytes.Buffer
			if err := Send(&sent, m); err != nil {
				t.Fatalf("Send() of what was received: %v", err)
			}
			again, ok := <-Receive(&sent)
			before, _ := json.Marshal(m)
			after, _ := json.Marshal(again)
			if !ok || !bytes.Equal(before, after) {
				t.Errorf("%s is received as %s", before, after)
			}
		}
	})
}
