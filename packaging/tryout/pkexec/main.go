package pkexec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// pkexec's own exit codes (pkexec(1), RETURN VALUE).
const (
	exitDismissed = 126
	exitFailed    = 127
)

// Invoked reports whether the running program was started as pkexec.
func Invoked() bool { return filepath.Base(os.Args[0]) == "pkexec" }

// Main is the stand-in for pkexec: it has the authority at the socket run the
// program that args name, and returns the exit code to end with.
func Main(socket string, args []string) int {
	for len(args) > 0 && strings.HasPrefix(args[0], "--") {
		if args[0] != "--disable-internal-agent" {
			return fail("the stand-in of the practice system does not know " + args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return fail("no program given")
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	end, err := converse(ctx, socket, request{Program: args[0], Arguments: args[1:]})
	switch {
	case errors.Is(err, errNoAgent):
		return fail("No authentication agent found.")
	case err != nil:
		return fail(err.Error())
	case end.Denied == dismissed:
		fail(end.Denied)
		return exitDismissed
	case end.Denied == notAuthorized:
		return fail(end.Denied + "\n\nThis incident has been reported.")
	case end.Denied != "":
		return fail(end.Denied)
	}
	return end.Exit
}

// fail says it in pkexec's words.
func fail(message string) int {
	fmt.Fprintln(os.Stderr, "Error executing command as another user: "+message)
	return exitFailed
}

func converse(ctx context.Context, socket string, req request) (*reply, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("no authority answers in this practice system: %w", err)
	}
	defer conn.Close()
	message, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if _, _, err := conn.WriteMsgUnix(message, unix.UnixRights(0, 1, 2), nil); err != nil {
		return nil, err
	}
	replies, answers := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var r reply
		if err := replies.Decode(&r); err != nil {
			return nil, err
		}
		if r.Ask == nil {
			return &r, nil
		}
		confirmed, err := confirm(ctx, r.Ask)
		if err != nil {
			return nil, err
		}
		if err := answers.Encode(confirmation{Confirmed: confirmed}); err != nil {
			return nil, err
		}
	}
}

// errNoAgent means that there is no one to ask.
var errNoAgent = errors.New("no display and no terminal")

// Title is the dialog's, so that no one takes it for the real one.
const Title = "Authenticate (practice: no password needed)"

// confirm asks the person, in a window where there is a display, else on the
// terminal, as the agents of polkit do.
func confirm(ctx context.Context, a *action) (bool, error) {
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return confirmOnTerminal(a)
	}
	cmd := exec.CommandContext(ctx, "zenity", dialog(a, zenityMajor(ctx))...)
	// The applet hands on little of its environment. Without a graphics card, as
	// on the practice desktop, GTK 4 shows a black window unless told to do without.
	cmd.Env = append(os.Environ(), "GSK_RENDERER=cairo", "GTK_A11Y=none", "NO_AT_BRIDGE=1")
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return false, nil
	}
	return err == nil, err
}

// dialog returns the arguments for zenity, whose version 4 has renamed the option for the
// icon.
func dialog(a *action, major string) []string {
	icon := "--icon=" + a.Icon
	if major == "3" {
		icon = "--icon-name=" + a.Icon
	}
	return []string{
		"--question", "--title=" + Title, icon, "--width=440",
		"--ok-label=Authenticate", "--cancel-label=Cancel",
		"--text=<b>" + html.EscapeString(a.Message) + "</b>\n\n" +
			"On a real system, polkit asks for an administrator's password here.",
	}
}

func zenityMajor(ctx context.Context) string {
	version, err := exec.CommandContext(ctx, "zenity", "--version").Output()
	if err != nil {
		return ""
	}
	major, _, _ := strings.Cut(strings.TrimSpace(string(version)), ".")
	return major
}

func confirmOnTerminal(a *action) (bool, error) {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false, errNoAgent
	}
	defer terminal.Close()
	fmt.Fprintf(terminal, "==== AUTHENTICATING FOR %s ====\n%s\nPractice: press Enter, or n and Enter to cancel: ", a.ID, a.Message)
	var line [64]byte
	n, err := terminal.Read(line[:])
	return err == nil && n > 0 && line[0] == '\n', nil
}
