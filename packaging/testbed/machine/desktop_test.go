package machine

import (
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
	"immutray.org/packaging/tryout/desktop"
)

// A desk is a machine with a person logged in on its screen.
type desk struct {
	*vm
	session *listener // the notifications of this person's session, and the clicks on the padlock
	prompts *listener // the passwords that polkit has asked for
	told    int       // notifications of this session that were accounted for
	asked   int       // passwords that were
}

// What the person at the desk does, with the real display manager, panel, polkit and
// password prompt. One machine for all of it: each step goes on from the one before.
func TestDesk(t *testing.T) {
	t.Parallel()
	v := newInstalled(t, everything)
	startWriter(t, v)
	d := &desk{vm: v}
	d.prepare(t)
	steps := []struct {
		name string
		do   func(t *testing.T)
	}{
		{"the padlock is in the panel", d.padlockInPanel},
		{"the reminder locks", d.reminderLocks},
		{"Escape in the prompt leaves it locked", d.escape},
		{"the prompt's Cancel leaves it locked", d.cancel},
		{"giving up after a wrong password leaves it locked", d.giveUp},
		{"the right password unlocks", d.rightPassword},
		{"the reminder comes again", d.reminderAgain},
		{"a click while unlocked locks", d.clickLocks},
		{"apt is running", d.aptIsRunning},
		{"a click in another mount namespace locks the machine", d.clickInAnotherNamespace},
		{"services are restarted with a password", d.restartsServices},
		{"the last logout locks", d.lastLogoutLocks},
		{"who is no administrator locks without a password", d.otherLocks},
		{"who is no administrator needs an administrator's password", d.otherUnlocks},
		{"a window closes without a person", d.closesAlone},
		{"islands were writable all the time", func(t *testing.T) { expectWriter(t, v) }},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// prepare sets the desks up, and logs the administrator in. Reminders come soon, and
// below the padlock, so that one picture shows both. A notification stays until it was
// looked at and clicked on: ten seconds are short on this machine.
func (d *desk) prepare(t *testing.T) {
	for _, person := range []string{admin, other} {
		must(t, d.as(root), fmt.Sprintf(`cd /home/%[1]s/.config && mkdir immutray &&
			echo 'remind_first = "%[2]s"' >immutray/config.toml &&
			sed -i '/notify-location/{s/"3"/"2"/;a <property name="expire-timeout" type="int" value="30"/>
			}' xfce4/xfconf/xfce-perchannel-xml/xfce4-notifyd.xml &&
			chown -R %[1]s: .`, person, remindFirst))
	}
	var err error
	d.prompts, err = d.listen(root, "prompts", authenticationAgent)
	check(t, err)
	must(t, d.as(root), "systemctl start graphical.target")
	d.sitDown(t, admin)
}

// remindFirst is less than the person needs for anything else.
const remindFirst = 20 * time.Second

// sitDown listens in the session of who has just been logged in.
func (d *desk) sitDown(t *testing.T, person string) {
	t.Helper()
	session, err := d.listen(person, "session-"+person, notifications, statusNotifierItem)
	check(t, err)
	d.session, d.told = session, 0
}

func (d *desk) padlockInPanel(t *testing.T) {
	expectIcon(t, d.vm, icons.Unlocked)
	// Without it the screen behind all is black, and windows have no visible edge.
	_, err := d.onDisplay("xsetroot -solid '#4c6a82'")
	check(t, err)
	_, err = d.settled()
	check(t, err)
	takePicture(t, d.vm, "panel-unlocked")
	expectState(t, d.vm, helper.Unlocked)
}

func (d *desk) clickLocks(t *testing.T) {
	d.clickIcon(t)
	expectIcon(t, d.vm, icons.Locked)
	takePicture(t, d.vm, "panel-locked")
	expectState(t, d.vm, helper.Locked)
	expectRecord(t, d.vm, outcome, "lock for rrs: done")
	d.expectTold(t, "Locked")
	d.expectAsked(t, nil)
	check(t, d.noNote())
}

// clickIcon clicks on the padlock, and waits until the panel has told the applet. On a
// busy host a panel that has only just been built may lose a click, and leave its own
// button lit: it sees the mouse's go down, and not up. Then a person clicks again.
func (d *desk) clickIcon(t *testing.T) {
	t.Helper()
	before, err := d.session.messages("Activate")
	check(t, err)
	for range 3 {
		screen, err := d.settled()
		check(t, err)
		place := desktop.IconPlace(screen)
		if place.Empty() {
			t.Fatal("cannot click on the icon: there is none")
		}
		check(t, d.click(middle(place)))
		err = waitFor("the panel to tell of a click", clickTime, func() error {
			told, err := d.session.messages("Activate")
			if err == nil && len(told) == len(before) {
				err = errors.New("it has not")
			}
			return err
		})
		if err == nil {
			return
		}
		t.Log(err)
	}
	t.Fatal("the panel lost every click")
}

// clickTime is longer than the panel of a busy machine takes: a click that comes late,
// after the next one, would be another.
const clickTime = time.Minute

// expectIcon waits for an icon in the panel.
func expectIcon(t *testing.T, v *vm, name icons.Name) {
	t.Helper()
	_, err := v.icon(name)
	check(t, err)
}

// reminder comes by itself, and on a slow machine while the test looks at something else.
const reminder = "System unlocked"

// expectTold fails unless the notifications since the last call have exactly these summaries.
// The end of a window in a summary does not count, nor does a reminder. A reminder after
// the others is left for the next call. It returns the notifications.
func (d *desk) expectTold(t *testing.T, summaries ...string) []notification {
	t.Helper()
	unexpected := func(n notification) bool {
		return n.Summary == reminder && !slices.Contains(summaries, reminder)
	}
	var told []notification
	err := waitFor("the notifications", noteTime, func() error {
		all, err := d.session.notifications()
		if err != nil {
			return err
		}
		told = all[d.told:]
		if i := slices.IndexFunc(told, unexpected); i >= len(summaries) {
			told = told[:i]
		}
		if len(slices.DeleteFunc(slices.Clone(told), unexpected)) < len(summaries) {
			return fmt.Errorf("there are %+v", told)
		}
		return nil
	})
	check(t, err)
	var got []string
	for _, n := range told {
		// A panel that is later than half a minute after the applet is this machine's.
		if n.Summary != "No tray for the padlock" && !unexpected(n) {
			what, _, _ := strings.Cut(n.Summary, " until ")
			got = append(got, what)
		}
	}
	// What a daemon that is only just starting did not answer to is told again.
	if got = slices.Compact(got); !slices.Equal(got, summaries) {
		t.Fatalf("the applet told %q, want %q: %+v", got, summaries, told)
	}
	d.told += len(told)
	return told
}

// expectAsked fails unless polkit had an agent ask once for a password of one of these users,
// or never if there are none.
func (d *desk) expectAsked(t *testing.T, uids []int) {
	t.Helper()
	all, err := d.prompts.questions()
	check(t, err)
	asked := all[d.asked:]
	d.asked = len(all)
	if uids == nil {
		if len(asked) > 0 {
			t.Errorf("a password was asked for: %+v", asked)
		}
		return
	}
	want := question{"org.immutray.unlock", sentence, string(icons.Unlocked), uids}
	if len(asked) != 1 || fmt.Sprint(asked[0]) != fmt.Sprint(want) {
		t.Errorf("polkit asked %+v, want %+v", asked, want)
	}
}

const sentence = "Authentication is required to make the operating system writable"

// keepPart keeps a part of a picture.
func keepPart(t *testing.T, screen *image.RGBA, part image.Rectangle, name string) {
	t.Helper()
	check(t, desktop.Save(desktop.Crop(screen, part), filepath.Join(pictures, name+".png")))
}

// journal returns what the system and the programs of the desk have said.
func journal(t *testing.T, v *vm) string {
	t.Helper()
	return must(t, v.as(root), "journalctl --sync; journalctl --boot --no-pager --output=cat")
}

// count counts the lines that have all of the words.
func count(text string, words ...string) (n int) {
	for line := range strings.Lines(text) {
		has := true
		for _, w := range words {
			has = has && strings.Contains(line, w)
		}
		if has {
			n++
		}
	}
	return n
}
