package notify

import (
	"bytes"
	"context"
	"errors"
	"image/color"
	"image/png"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/icons"
	"immutray.org/notify/notifytest"
)

func TestPostArguments(t *testing.T) {
	type hints = map[string]any
	basic := func(urgency byte, more hints) hints {
		h := hints{"urgency": urgency, "desktop-entry": "immutray"}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	all := []string{"actions", "body", "body-markup"}
	unlocked := wantPicture(t, icons.Unlocked)
	for _, tt := range []struct {
		name         string
		note         Notification
		capabilities []string
		want         notifytest.Post
		hints        hints
	}{
		{
			"critical", critical, all,
			notifytest.Post{Icon: "immutray-unlocked", Summary: "S & <s>", Body: "a &lt; b &amp; c &gt; d", Actions: []string{"lock", "Lock now", "snooze", "Later"}, Expire: 0},
			basic(2, hints{"resident": true, "image-path": "immutray-unlocked", "image-data": unlocked}),
		}, {
			"no markup", critical, []string{"actions", "body"},
			notifytest.Post{Icon: "immutray-unlocked", Summary: "S & <s>", Body: "a < b & c > d", Actions: []string{"lock", "Lock now", "snooze", "Later"}, Expire: 0},
			basic(2, hints{"resident": true, "image-path": "immutray-unlocked", "image-data": unlocked}),
		}, {
			"no actions", critical, []string{"body", "body-markup"},
			notifytest.Post{Icon: "immutray-unlocked", Summary: "S & <s>", Body: "a &lt; b &amp; c &gt; d\nrun: &lt;it&gt;", Expire: 0},
			basic(2, hints{"resident": true, "image-path": "immutray-unlocked", "image-data": unlocked}),
		}, {
			"no capabilities", critical, nil,
			notifytest.Post{Icon: "immutray-unlocked", Summary: "S & <s>", Body: "a < b & c > d\nrun: <it>", Expire: 0},
			basic(2, hints{"resident": true, "image-path": "immutray-unlocked", "image-data": unlocked}),
		}, {
			"feedback", Notification{Summary: "Locked", Urgency: Normal, Icon: "/usr/share/my icons/a.png", Expire: 5 * time.Second, Transient: true, Silent: true}, all,
			notifytest.Post{Icon: "file:///usr/share/my%20icons/a.png", Summary: "Locked", Expire: 5000},
			basic(1, hints{"transient": true, "suppress-sound": true, "image-path": "file:///usr/share/my%20icons/a.png"}),
		}, {
			"normal, nothing more", Notification{Summary: "s", Urgency: Normal}, all,
			notifytest.Post{Summary: "s", Expire: -1},
			basic(1, nil),
		}, {
			"no actions and none wanted", Notification{Summary: "s", Body: "b", Urgency: Normal}, nil,
			notifytest.Post{Summary: "s", Body: "b", Expire: -1},
			basic(1, nil),
		}, {
			"critical never expires", Notification{Summary: "s", Urgency: Critical, Expire: time.Second}, all,
			notifytest.Post{Summary: "s", Expire: 0},
			basic(2, nil),
		}, {
			"bytes that D-Bus refuses", Notification{Summary: "a\xffb\x00", Body: "c\xffd\x00", Urgency: Normal, Actions: []Action{{"k", "\xff"}}}, all,
			notifytest.Post{Summary: "a\uFFFDb\uFFFD", Body: "c\uFFFDd\uFFFD", Actions: []string{"k", "\uFFFD"}, Expire: -1},
			basic(1, nil),
		}, {
			"too long", Notification{Summary: strings.Repeat("é", 300), Body: strings.Repeat("&", 3000), Urgency: Normal}, all,
			notifytest.Post{Summary: strings.Repeat("é", 199) + "…", Body: strings.Repeat("&amp;", 1999) + "…", Expire: -1},
			basic(1, nil),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bus := notifytest.StartBus(t)
			server := notifytest.StartServer(t, bus)
			server.SetCapabilities(tt.capabilities...)
			n, _ := newNotifier(t, bus, Options{})
			mustPost(t, n, "slot", tt.note)
			got := server.WaitForPosts(1)
			if got.AppName != "Immutray" || got.Icon != tt.want.Icon || got.Summary != tt.want.Summary || got.Body != tt.want.Body ||
				!slices.Equal(got.Actions, tt.want.Actions) || got.Expire != tt.want.Expire || got.Replaces != 0 {
				t.Errorf("posted %+v\nwant %+v", got, tt.want)
			}
			if len(got.Hints) != len(tt.hints) {
				t.Errorf("hints %v, want %v", got.Hints, tt.hints)
			}
			for k, v := range tt.hints {
				if !reflect.DeepEqual(got.Hints[k].Value(), v) {
					t.Errorf("hint %s = %v, want %v", k, got.Hints[k], v)
				}
			}
		})
	}
}

// A daemon that does not find the icons, because they are installed elsewhere or not at all,
// shows the picture of the state all the same.
func TestPostSendsThePicture(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	names := []icons.Name{icons.Application, icons.Locked, icons.Unlocked, icons.PartlyLocked, icons.Working, icons.Unknown}
	for i, name := range names {
		mustPost(t, n, "slot", Notification{Summary: "s", Urgency: Normal, Icon: string(name)})
		if hint := server.WaitForPosts(i + 1).Hints["image-data"]; !reflect.DeepEqual(hint.Value(), wantPicture(t, name)) {
			t.Errorf("%s: another picture was sent, or none", name)
		}
	}
	for _, icon := range []string{"", "dialog-warning", "/usr/share/pixmaps/a.png", "../color/64/immutray"} {
		if _, ok := picture(icon); ok {
			t.Errorf("picture(%q) is one of ours", icon)
		}
	}
}

// wantPicture returns the value of the hint image-data for an icon, as godbus reads it.
func wantPicture(t *testing.T, name icons.Name) []any {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(icons.PNG(name, icons.Color, 64)))
	if err != nil {
		t.Fatal(err)
	}
	var pixels []byte
	for y := range 64 {
		for x := range 64 {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			pixels = append(pixels, c.R, c.G, c.B, c.A)
		}
	}
	return []any{int32(64), int32(64), int32(4 * 64), true, int32(8), int32(4), pixels}
}

func TestPostReplacesInItsSlot(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	for range 3 {
		mustPost(t, n, "a", critical)
		mustPost(t, n, "b", critical)
	}
	open := server.WaitForOpen(2)
	if open[0].ID != 1 || open[1].ID != 2 || open[0].Replaces != 1 || open[1].Replaces != 2 {
		t.Errorf("on the screen: %+v, want ids 1 and 2", open)
	}
}

func TestPostAtOnceStillReplaces(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() { errs <- n.Post(context.Background(), "slot", critical) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	server.WaitForPosts(cap(errs))
	server.WaitForOpen(1)
}

func TestPostAfterDismissTakesTheNewID(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, events := newNotifier(t, bus, Options{})
	mustPost(t, n, "slot", critical)
	server.Dismiss(1)
	if e := receive(t, events); e.kind != closedByOther || e.slot != "slot" || n.Shows("slot") {
		t.Errorf("event %+v, Shows() = %v after dismissal", e, n.Shows("slot"))
	}
	mustPost(t, n, "slot", critical)
	server.WaitForPosts(2)
	mustPost(t, n, "slot", critical)
	if post := server.WaitForPosts(3); post.ID != 2 || post.Replaces != 2 {
		t.Errorf("third post %+v, want it to replace 2", post)
	}
}

// A dismissal that we have not heard of yet: the daemon answers with another id
// than the one that was to be replaced.
func TestPostStoresTheReturnedID(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	mustPost(t, n, "slot", critical)
	n.mu.Lock()
	n.slots["slot"].id = 77 // as if 77 had been dismissed
	n.mu.Unlock()
	mustPost(t, n, "slot", critical)
	if post := server.WaitForPosts(2); post.ID != 2 || post.Replaces != 77 {
		t.Fatalf("second post %+v", post)
	}
	if err := n.Close(context.Background(), "slot"); err != nil {
		t.Fatal(err)
	}
	if open := server.WaitForOpen(1); open[0].ID != 1 {
		t.Errorf("on the screen: %+v, want 2 closed", open)
	}
}

func TestClose(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, events := newNotifier(t, bus, Options{})
	ctx := context.Background()
	if err := n.Close(ctx, "slot"); err != nil {
		t.Errorf("Close of an empty slot: %v", err)
	}
	mustPost(t, n, "slot", critical)
	for range 2 {
		if err := n.Close(ctx, "slot"); err != nil {
			t.Error(err)
		}
	}
	server.WaitForOpen(0)
	if calls := server.State().Calls["CloseNotification"]; calls != 1 {
		t.Errorf("CloseNotification was called %d times, want once", calls)
	}
	mustPost(t, n, "slot", critical)
	server.SetError("CloseNotification", "org.freedesktop.DBus.Error.Failed")
	if err := n.Close(ctx, "slot"); err != nil {
		t.Errorf("Close of what is closed already: %v", err)
	}
	select {
	case e := <-events:
		t.Errorf("our own closing came as %+v", e)
	default:
	}
}

func TestCapabilitiesAreReadBeforeEachPost(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	mustPost(t, n, "slot", critical)
	server.SetCapabilities("body", "body-markup") // do-not-disturb on xfce4-notifyd
	mustPost(t, n, "slot", critical)
	if post := server.WaitForPosts(2); len(post.Actions) != 0 || !strings.Contains(post.Body, "run:") {
		t.Errorf("posted %+v, want no actions but the command", post)
	}
	server.SetError("GetCapabilities", "org.freedesktop.DBus.Error.UnknownMethod")
	mustPost(t, n, "slot", critical)
	if post := server.WaitForPosts(3); len(post.Actions) != 0 || strings.Contains(post.Body, "&lt;") {
		t.Errorf("posted %+v, want it plain", post)
	}
	// It died of the question.
	server.SetError("GetCapabilities", "org.freedesktop.DBus.Error.NoReply")
	if err := n.Post(context.Background(), "slot", critical); err == nil || errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v, want an error that is worth another try", err)
	}
}

func TestExcessNotificationGeneration(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	const excess = "org.freedesktop.Notifications.Error.ExcessNotificationGeneration"
	server.SetError("Notify", excess)
	if err := n.Post(context.Background(), "slot", critical); err == nil {
		t.Error("nothing is shown, and no error")
	}
	server.SetError("Notify", "")
	mustPost(t, n, "slot", critical)
	server.SetError("Notify", excess)
	mustPost(t, n, "slot", critical)
	server.SetError("Notify", "")
	mustPost(t, n, "slot", critical)
	if post := server.WaitForPosts(2); post.Replaces != 1 {
		t.Errorf("posted %+v, want the id kept", post)
	}
}

func TestPostEndsWithItsContext(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	server.Hang(true)
	n, _ := newNotifier(t, bus, Options{Timeout: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Post(ctx, "slot", critical) }()
	server.WaitFor("the call", func(s notifytest.State) bool { return s.Calls["GetCapabilities"] == 1 })
	waiting := make(chan error)
	go func() { waiting <- n.Post(ctx, "slot", critical) }()
	cancel()
	for _, c := range []chan error{done, waiting} {
		if err := <-c; !errors.Is(err, context.Canceled) {
			t.Errorf("Post() = %v, want canceled", err)
		}
	}
}
