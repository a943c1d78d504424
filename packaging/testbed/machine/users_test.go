package machine

import (
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
)

// Everyone has a process in the login by ssh, and one that the own service manager has
// started, as systemd-run --user does: it belongs to no login. They are known by their
// names.
const startBystanders = `bash -c 'exec -a by-ssh sleep infinity' </dev/null >/dev/null 2>&1 &
systemd-run --user --quiet bash -c 'exec -a by-manager sleep infinity'`

// askPolkit reads lines that begin with a user and a process, and writes them with what
// polkit says when that process asks to lock and to unlock (pkcheck(1)).
const askPolkit = `ask() {
	pkcheck --action-id org.immutray.$1 --process $2 >/dev/null 2>&1
	case $? in 0) echo yes ;; 2) echo password ;; *) echo no ;; esac
}
while read -r user process answers; do
	pid=$(pgrep --uid $user --full "^$process ")
	echo $user $process $(ask lock $pid) $(ask unlock $pid)
done`

// expectAnswers compares them with the answers in the lines.
func expectAnswers(t *testing.T, v *vm, lines ...string) {
	t.Helper()
	want := strings.Join(lines, "\n") + "\n"
	got, err := v.as(root).runWith(strings.NewReader(want), askPolkit)
	check(t, err)
	if got != want {
		t.Errorf("polkit's answers to lock and unlock:\n%swant:\n%s", got, want)
	}
}

// byManager is a command that the person's service manager starts.
func byManager(command string) string { return "systemd-run --user --quiet --wait --pipe " + command }

// expectRefused runs a command that polkit refuses, since nothing there can ask for the
// password.
func expectRefused(t *testing.T, p person, command string) {
	t.Helper()
	out, err := p.run(command)
	expectNoAgent(t, p, out, err)
}

func expectNoAgent(t *testing.T, p person, out string, err error) {
	t.Helper()
	if codeOf(err) != helper.ExitFailed ||
		!strings.Contains(out, "immutectl: error: cannot get authorization: there is no program here that can ask for the password") ||
		!strings.Contains(out, `"sudo immutectl lock" or "sudo immutectl unlock"`) {
		t.Errorf("%s: it ended with %v, want exit code %d, and told why", p.name, err, helper.ExitFailed)
	}
}

// A user who is logged in by ssh needs an administrator's password, for both.
func onlyBySSH(t *testing.T, v *vm) {
	for _, name := range []string{other, admin} {
		must(t, v.as(name), startBystanders)
	}
	expectAnswers(t, v,
		"ann by-ssh password password",
		"ann by-manager password password",
		"rrs by-ssh password password",
		"rrs by-manager password password")
	for _, name := range []string{other, admin} {
		expectRefused(t, v.as(name), "immutectl lock")
		expectRefused(t, v.as(name), "immutectl unlock")
		expectRefused(t, v.as(name), byManager("immutectl unlock"))
	}
	expectState(t, v, helper.Locked)
}

// withAgent is the command with pkttyagent there to ask for the password on its terminal.
// pkexec has an agent of its own, but that does not work with every polkit
// (polkit-org/polkit #17, #686).
func withAgent(command string) string {
	return fmt.Sprintf(`cd $XDG_RUNTIME_DIR && rm -f ready && mkfifo ready
pkttyagent --process $$ --notify-fd 9 9>ready &
cat ready # until it is closed
exec %s`, command)
}

// The password that is asked for is an administrator's, not the own one.
func passwordOnTerminal(t *testing.T, v *vm) {
	const asked = "Authentication is required to make the operating system writable"
	out, err := v.as(admin).onTerminal("immutectl unlock", "")
	expectNoAgent(t, v.as(admin), out, err)
	out, err = v.as(other).onTerminal(withAgent("immutectl unlock"), otherPassword)
	if codeOf(err) != helper.ExitFailed || !strings.Contains(out, asked) || !strings.Contains(out, "cannot get authorization: not authorized") {
		t.Errorf("with a password that is no administrator's, unlock ended with %v: %s", err, out)
	}
	expectState(t, v, helper.Locked)
	out, err = v.as(other).onTerminal(withAgent("immutectl unlock"), adminPassword)
	if err != nil || !strings.Contains(out, asked) {
		t.Errorf("with an administrator's password, unlock ended with %v: %s", err, out)
	}
	expectState(t, v, helper.Unlocked)
	expectRecord(t, v, outcome, "unlock for ann: done")
}

// sit logs someone in at the desk, on a virtual terminal: to logind it is the session of
// a desktop, and the first terminal is the one that is seen.
func sit(t *testing.T, v *vm, name, terminal string) {
	t.Helper()
	must(t, v.as(root), fmt.Sprintf(`systemctl stop getty@%[2]s
systemd-run --quiet --unit=desk-%[1]s --uid=%[1]s --setenv=XDG_SESSION_TYPE=x11 --property=PAMName=su-l \
	--property=TTYPath=/dev/%[2]s --property=StandardInput=tty bash -c 'exec -a at-the-desk sleep infinity'
timeout 60 sh -c 'until pgrep --uid %[1]s --full "^at-the-desk "; do sleep 0.2; done'`, name, terminal))
}

func stand(t *testing.T, v *vm, name string) {
	t.Helper()
	must(t, v.as(root), fmt.Sprintf(`systemctl stop desk-%[1]s
timeout 60 sh -c 'while loginctl --no-legend list-sessions | grep --quiet " %[1]s *seat0 "; do sleep 0.2; done'`, name))
}

// polkit's allow_active is for a user, not for a session: what belongs to no session
// counts as the one that the user has at the desk. So it locks without a password also
// for someone who is here by ssh. It never unlocks.
func administratorAtTheDesk(t *testing.T, v *vm) {
	sit(t, v, admin, "tty1")
	defer stand(t, v, admin)
	expectAnswers(t, v,
		"rrs at-the-desk yes password",
		"rrs by-ssh password password",
		"rrs by-manager yes password",
		"ann by-ssh password password",
		"ann by-manager password password")
	expectRefused(t, v.as(admin), "immutectl lock")
	expectState(t, v, helper.Unlocked)
	must(t, v.as(admin), byManager("immutectl lock"))
	expectState(t, v, helper.Locked)
	expectRecord(t, v, outcome, "lock for rrs: done")
	expectRefused(t, v.as(admin), byManager("immutectl unlock"))
	expectState(t, v, helper.Locked)
}

// Who sits there counts, not who may administer the machine; and of several only the one
// whose screen is seen.
func anotherAtTheDesk(t *testing.T, v *vm) {
	sit(t, v, other, "tty1")
	defer stand(t, v, other)
	expectAnswers(t, v,
		"ann at-the-desk yes password",
		"ann by-ssh password password",
		"ann by-manager yes password",
		"rrs by-ssh password password",
		"rrs by-manager password password")
	sit(t, v, admin, "tty2")
	defer stand(t, v, admin)
	// By any other login they would count as being in front of the screen.
	must(t, v.as(root), `pkill --uid rrs --full ^sshd
timeout 60 sh -c 'until test "$(loginctl show-user --value --property=State rrs)" = online; do sleep 0.2; done'`)
	expectAnswers(t, v,
		"ann at-the-desk yes password",
		"rrs at-the-desk password password")
}
