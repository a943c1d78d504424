package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
)

func exampleRequest() helper.Request {
	return helper.Request{Verb: helper.Unlock, ID: "5f", UID: 1000, User: "rrs", Reason: "new kernel"}
}

// What is read of a request is what its name says, or nothing.
func FuzzTake(f *testing.F) {
	request, err := json.Marshal(exampleRequest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request)
	f.Add([]byte(`{"verb":"lock","id":"5f"}`))
	f.Add([]byte(`{"verb":"unlock","id":"../../etc/passwd"}`))
	f.Add([]byte(`{"verb":"unlock","id":"5f","for":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		q := queue{statedir.Folder{Path: t.TempDir()}}
		if err := os.WriteFile(filepath.Join(q.Path, "unlock.5f"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, ok, err := q.take(helper.Unlock)
		if ok != (err == nil) {
			t.Fatalf("take() = %v, %v, %v", r, ok, err)
		}
		if ok && (r.Verb != helper.Unlock || r.ID != "5f") {
			t.Errorf("take() = %+v", r)
		}
		if _, again, err := q.take(helper.Unlock); again || err != nil {
			t.Errorf("the request is taken once more: %v, %v", again, err)
		}
	})
}

// An answer is the one to the request, or an error.
func FuzzAnswer(f *testing.F) {
	answer, err := json.Marshal(helper.Result{Request: exampleRequest(), Outcome: helper.Done})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add([]byte(`{"outcome":"done"}`))
	f.Add([]byte(`{"request":{"verb":"unlock","id":"5f"},"outcome":"done"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		q := queue{statedir.Folder{Path: t.TempDir()}}
		ticket := &ticket{queue: q, request: exampleRequest()}
		if err := os.WriteFile(filepath.Join(q.Path, answerPrefix+"5f"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		switch r, err := ticket.answer(); {
		case r == nil && err == nil:
			t.Error("there is no answer")
		case err == nil && r.Request != exampleRequest():
			t.Errorf("answer() = %+v", r)
		}
	})
}
