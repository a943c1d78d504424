package history

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// line is an outcome as journalctl 252 prints it, with fields changed; a field that is
// set to nil is missing.
func line(change map[string]any) string {
	fields := map[string]any{
		"__CURSOR":             "s=4f5e;i=1;b=0a;m=2;t=3;x=4",
		"__REALTIME_TIMESTAMP": "1795435200000000", "__MONOTONIC_TIMESTAMP": "60000000",
		"_BOOT_ID": "0a", "_UID": "0", "MESSAGE_ID": journal.Outcome,
		"IMMUTRAY_VERB": "unlock", "IMMUTRAY_REQUEST": "5f", "IMMUTRAY_CAUSE": "person", "IMMUTRAY_UID": "1000", "IMMUTRAY_USER": "rrs",
		"IMMUTRAY_REASON": "new kernel", "IMMUTRAY_BOOTTIME_USEC": "61000000", "IMMUTRAY_STATE": "unlocked",
		"IMMUTRAY_WINDOW_SINCE": "2026-11-23T12:00:00Z", "IMMUTRAY_UNTIL": "2026-11-23T13:00:00Z",
		"IMMUTRAY_WINDOW_UID": "1000", "IMMUTRAY_WINDOW_USER": "rrs", "IMMUTRAY_WINDOW_REASON": "new kernel",
	}
	for name, value := range change {
		fields[name] = value
		if value == nil {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

func example() record {
	since := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	until := since.Add(time.Hour)
	return record{
		moment: moment{time.Unix(1795435200, 0), time.Minute, 61 * time.Second},
		kind:   outcome, boot: "0a", verb: helper.Unlock, request: "5f", cause: helper.ByPerson, uid: 1000, user: "rrs", reason: "new kernel",
		state:  helper.Unlocked,
		window: &helper.Window{Since: since, Until: &until, UID: 1000, User: "rrs", Reason: "new kernel"},
	}
}

func TestParse(t *testing.T) {
	with := func(change func(*record)) []record {
		r := example()
		change(&r)
		return []record{r}
	}
	bytes := func(s string) (list []int) {
		for _, b := range []byte(s) {
			list = append(list, int(b))
		}
		return list
	}
	fact := func(r record) []record {
		return []record{{moment: moment{wall: r.wall, monotonic: r.monotonic}, kind: shutdown, boot: r.boot}}
	}
	tests := []struct {
		name   string
		change map[string]any
		want   []record
	}{
		{"as it is", nil, with(func(*record) {})},
		{"an intent", map[string]any{"MESSAGE_ID": journal.Intent, "IMMUTRAY_STATE": nil, "IMMUTRAY_WINDOW_SINCE": nil},
			with(func(r *record) { r.kind, r.state, r.window = intent, "", nil })},
		{"a command", map[string]any{"MESSAGE_ID": journal.Outcome, "IMMUTRAY_VERB": "run", "IMMUTRAY_COMMAND": "apt upgrade", "IMMUTRAY_OUTCOME": "failed", "IMMUTRAY_WINDOW_SINCE": nil},
			with(func(r *record) {
				r.verb, r.command, r.outcome, r.window = helper.RunCommand, "apt upgrade", helper.Failed, nil
			})},
		{"without an end", map[string]any{"IMMUTRAY_UNTIL": nil}, with(func(r *record) { r.window.Until = nil })},
		{"a user's name that is not text", map[string]any{"IMMUTRAY_USER": bytes("r\xff")}, with(func(r *record) { r.user = "r\xff" })},
		{"a field twice", map[string]any{"IMMUTRAY_REASON": []string{"a", "b"}}, with(func(r *record) { r.reason = "a" })},
		{"a field twice that is not text", map[string]any{"IMMUTRAY_REASON": []any{bytes("a\x01"), "b"}}, with(func(r *record) { r.reason = "a\x01" })},
		{"a field of nothing", map[string]any{"IMMUTRAY_REASON": []int{}}, with(func(r *record) { r.reason = "" })},
		{"a field that is too large", map[string]any{"IMMUTRAY_REASON": json.RawMessage("null")}, with(func(r *record) { r.reason = "" })},
		{"a uid that is none", map[string]any{"IMMUTRAY_UID": "-1"}, with(func(r *record) { r.uid = 0 })},
		{"a time that is none", map[string]any{"IMMUTRAY_BOOTTIME_USEC": "soon"}, with(func(r *record) { r.sinceBoot = 0 })},
		{"a window that began at no time", map[string]any{"IMMUTRAY_WINDOW_SINCE": "today"}, with(func(r *record) { r.window = nil })},
		{"a shutdown", map[string]any{"MESSAGE_ID": shuttingDown, "IMMUTRAY_BOOTTIME_USEC": nil}, fact(example())},
		{"a stop of the target of the boot", map[string]any{"MESSAGE_ID": unitStopped, "UNIT": "sysinit.target", "IMMUTRAY_BOOTTIME_USEC": nil}, fact(example())},

		{"a stop of another unit", map[string]any{"MESSAGE_ID": unitStopped, "UNIT": "cron.service"}, nil},
		{"another message", map[string]any{"MESSAGE_ID": "0a"}, nil},
		{"no message", map[string]any{"MESSAGE_ID": nil}, nil},
		{"forged by a user", map[string]any{"_UID": "1000"}, nil},
		{"by nobody knows whom", map[string]any{"_UID": nil}, nil},
		{"a shutdown forged by a user", map[string]any{"MESSAGE_ID": shuttingDown, "_UID": "1000"}, nil},
		{"of no boot", map[string]any{"_BOOT_ID": nil}, nil},
		{"at no time", map[string]any{"__REALTIME_TIMESTAMP": nil}, nil},
		{"at a negative time", map[string]any{"__MONOTONIC_TIMESTAMP": "-1"}, nil},
		{"at the end of time", map[string]any{"__MONOTONIC_TIMESTAMP": "9223372036854775807"}, nil},
		{"without a verb", map[string]any{"IMMUTRAY_VERB": nil}, nil},
		{"without a request", map[string]any{"IMMUTRAY_REQUEST": nil}, nil},
		{"of no state", map[string]any{"IMMUTRAY_STATE": nil}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, all, err := parse(strings.NewReader(line(test.change)))
			if err != nil || all != 1 || !reflect.DeepEqual(got, test.want) {
				t.Errorf("parse() = %+v, %d, %v, want %+v", got, all, err, test.want)
			}
		})
	}
}

func TestParseSeveral(t *testing.T) {
	got, all, err := parse(strings.NewReader(line(nil) + line(map[string]any{"_UID": "1"}) + line(nil)))
	if err != nil || all != 3 || len(got) != 2 {
		t.Errorf("parse() = %d records of %d, %v, want 2 of 3", len(got), all, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"-- No entries --\n", "[]", `"x"`, "7", `{"MESSAGE_ID": 7}`, `{"MESSAGE_ID": {}}`, `{"MESSAGE_ID": ["a", 7]}x`, `{"MESSAGE_ID": [[["a"]]]}`,
		`{"MESSAGE_ID": [256]}`, `{"MESSAGE_ID": [-1]}`, line(nil)[:100], "{\"a\":\"\x00\"}",
	} {
		_, _, err := parse(strings.NewReader(text))
		if err == nil || !strings.HasPrefix(err.Error(), "cannot understand the journal: ") {
			t.Errorf("parse(%q): %v", text, err)
		}
	}
	broken := errors.New("broken pipe")
	if _, _, err := parse(io.MultiReader(strings.NewReader(line(nil)), badReader{broken})); !errors.Is(err, broken) {
		t.Errorf("parse() of what can't be read: %v", err)
	}
}

type badReader struct{ err error }

func (r badReader) Read([]byte) (int, error) { return 0, r.err }

// Whatever root's journal holds, no window is negative, and none is without a beginning.
func FuzzWindows(f *testing.F) {
	f.Add(line(nil), false)
	f.Add(line(nil)+line(map[string]any{"IMMUTRAY_VERB": "lock", "IMMUTRAY_STATE": "locked", "__MONOTONIC_TIMESTAMP": "1"}), true)
	f.Add(line(map[string]any{"MESSAGE_ID": journal.Intent, "IMMUTRAY_REQUEST": "x"})+line(map[string]any{"MESSAGE_ID": shuttingDown}), true)
	f.Add(line(nil)+line(map[string]any{"_BOOT_ID": "1b", "IMMUTRAY_VERB": "seal", "IMMUTRAY_STATE": "locked"}), false)
	f.Add(`{"MESSAGE_ID":[["a"],[1]]}`, false)
	f.Fuzz(func(t *testing.T, text string, locked bool) {
		records, all, err := parse(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(records) > all {
			t.Errorf("%d records of %d", len(records), all)
		}
		for _, w := range windows(records, present{boot: "0a", locked: locked}) {
			if w.Lasted < 0 || w.began.boot == "" || w.End == Open && (!w.Ended.IsZero() || locked) {
				t.Errorf("window %+v", w)
			}
		}
	})
}
