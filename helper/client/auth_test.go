package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// The words of pkexec 122 to 127, as they come.
func TestDoWithoutHandshake(t *testing.T) {
	const reported = "\n\nThis incident has been reported.\n"
	const another = "Error executing command as another user: "
	tests := []struct {
		name   string
		exit   string
		stderr string
		want   AuthorizationKind
	}{
		{"wrong password or policy", "127", another + "Not authorized" + reported, NotAuthorized},
		{"no agent", "127", another + "No authentication agent found.\n", NoAgent},
		{"no terminal for the agent", "127", "Error creating textual authentication agent: Error opening current controlling terminal for the process (`/dev/tty'): No such device or address (polkit-error-quark, 0)\n", NoAgent},
		{"agent refused", "127", "Error registering local authentication agent: GDBus.Error:org.freedesktop.PolicyKit1.Error.Failed: Cannot determine session the caller is in (polkit-error-quark, 0)\n", NoAgent},
		{"helper missing", "127", "Error accessing " + helper.HelperPath + ": No such file or directory\n", HelperMissing},
		{"locale refused", "127", "The value for environment variable LC_ALL contains suspicious content" + reported, PkexecRefusedEnvironment},
		{"locale refused by an old pkexec", "127", "The value for environment variable LC_ALL contains suscipious content" + reported, PkexecRefusedEnvironment},
		{"shell refused", "127", "The value for the SHELL variable was not found in the /etc/shells file" + reported, PkexecRefusedEnvironment},
		{"no power", "127", "pkexec must be setuid root\n", PkexecPowerless},
		{"user namespace", "127", "Error checking for authorization org.immutray.lock: GDBus.Error:org.freedesktop.PolicyKit1.Error.NotAuthorized: Only trusted callers (e.g. uid 0 or an action owner) can use CheckAuthorization() and pass details\n", PkexecPowerless},
		{"no polkit", "127", "Error getting authority: Error initializing authority: Could not connect: No such file or directory\n", NoPolkit},
		{"after a warning", "127", "(pkexec:7): GLib-GIO-WARNING **: something\n" + another + "Not authorized" + reported, NotAuthorized},
		{"unknown words", "127", "Refusing to render service to dead parents.\n", AuthorizationFailed},
		{"no words", "127", "", AuthorizationFailed},
		{"killed", "", "", AuthorizationFailed},
		{"Ctrl-C", "130", "", AuthorizationFailed},
		{"something else started", "0", "", AuthorizationFailed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			end := "exit " + test.exit
			if test.exit == "" {
				end = "kill -9 $$"
			}
			c := &Client{Pkexec: script(t, "cat >&2 <<'END'\n"+test.stderr+"END\n"+end)}
			r, err := c.Do(context.Background(), helper.Request{Verb: helper.Unlock})
			var auth *AuthorizationError
			if r != nil || !errors.As(err, &auth) || auth.Kind != test.want {
				t.Fatalf("Do() = %v, %v, want an AuthorizationError of kind %d", r, err, test.want)
			}
			begin := "cannot get authorization: "
			if test.want == HelperMissing {
				begin = "Immutray is damaged: "
			}
			if text := err.Error(); strings.Contains(text, "\n") || !strings.HasPrefix(text, begin) {
				t.Errorf("the error is %q, want one line", text)
			}
		})
	}
}

func TestDoCancelledByUser(t *testing.T) {
	const words = "Error executing command as another user: Request dismissed\n"
	if err := pkexecError(126, words, false); err != ErrCancelled {
		t.Errorf("pkexecError() = %v, want ErrCancelled", err)
	}
	// A script is faster than a person.
	c := &Client{Pkexec: script(t, "echo 'Error executing command as another user: Request dismissed' >&2; exit 126")}
	_, err := c.Do(context.Background(), helper.Request{Verb: helper.Unlock})
	if !errors.Is(err, ErrCancelled) || !errors.Is(err, ErrNoDialog) {
		t.Errorf("Do() = %v, want ErrNoDialog, which is an ErrCancelled too", err)
	}
	if errors.Is(ErrCancelled, ErrNoDialog) {
		t.Error("every cancelled prompt counts as one that could not be shown")
	}
}

func TestDoGarbage(t *testing.T) {
	tests := []struct {
		name, script string
		want         AuthorizationKind
	}{
		{"garbage", "echo hello", AuthorizationFailed},
		{"the handshake too late", "echo; echo '" + helper.Handshake + "'", AuthorizationFailed},
		{"another version", "echo 'immutray-helper 2'", OtherVersion},
		{"endless words", "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 127", AuthorizationFailed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Client{Pkexec: script(t, test.script)}
			_, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
			var auth *AuthorizationError
			if !errors.As(err, &auth) || auth.Kind != test.want || len(err.Error()) > 500 {
				t.Errorf("Do() = %.600v, want an AuthorizationError of kind %d", err, test.want)
			}
		})
	}
}

func TestDoMissingPrograms(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	var auth *AuthorizationError
	_, err := (&Client{Pkexec: nowhere}).Do(context.Background(), helper.Request{Verb: helper.Lock})
	if !errors.As(err, &auth) || auth.Kind != PkexecMissing {
		t.Errorf("Do() without pkexec = %v", err)
	}
	_, err = (&Client{Direct: true, Helper: nowhere}).Do(context.Background(), helper.Request{Verb: helper.Lock})
	if !errors.As(err, &auth) || auth.Kind != HelperMissing {
		t.Errorf("Do() without the helper = %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = (&Client{}).Do(context.Background(), helper.Request{Verb: helper.Lock})
	if !errors.As(err, &auth) || auth.Kind != PkexecMissing {
		t.Errorf("Do() without pkexec in PATH = %v", err)
	}
	_, err = (&Client{Direct: true, Helper: t.TempDir()}).Do(context.Background(), helper.Request{Verb: helper.Lock})
	if !errors.As(err, &auth) || auth.Kind != HelperUnusable || strings.Contains(err.Error(), "fork/exec") {
		t.Errorf("Do() with a directory for a helper = %v", err)
	}
}

func TestDoDirectCrash(t *testing.T) {
	c := &Client{Direct: true, Helper: script(t, "echo 'fatal error: out of memory' >&2; exit 2")}
	_, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
	var auth *AuthorizationError
	if !errors.As(err, &auth) || !strings.Contains(err.Error(), "fatal error: out of memory") {
		t.Errorf("Do() = %v, want what the helper said", err)
	}
}

// The pkexec of this machine, which may have polkit behind it or not.
func TestDoRealPkexec(t *testing.T) {
	lab.Require(t, "pkexec:pkexec", "setpriv:util-linux")
	t.Setenv("SHELL", "/usr/bin/fish")
	t.Setenv("LC_ALL", "../x")
	t.Setenv("LANGUAGE", "a/b")
	kindOf := func(c *Client) AuthorizationKind {
		t.Helper()
		_, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
		var auth *AuthorizationError
		if !errors.As(err, &auth) {
			t.Fatalf("Do() = %v, want an AuthorizationError", err)
		}
		t.Logf("%+v: %v", c, err)
		return auth.Kind
	}
	if kind := kindOf(&Client{Helper: filepath.Join(t.TempDir(), "nowhere")}); kind != HelperMissing {
		t.Errorf("without a helper: kind %d, want HelperMissing", kind)
	}
	if kind := kindOf(&Client{Helper: "/bin/true"}); kind == PkexecRefusedEnvironment || kind == HelperMissing || kind == PkexecMissing {
		t.Errorf("with a program that is no helper: kind %d", kind)
	}
	if os.Getuid() != 0 {
		return // only root can become another user below
	}
	weak := script(t, `exec setpriv --reuid=65534 --clear-groups --no-new-privs pkexec "$@"`)
	if kind := kindOf(&Client{Pkexec: weak, Helper: "/bin/true"}); kind != PkexecPowerless {
		t.Errorf("with no_new_privs: kind %d, want PkexecPowerless", kind)
	}
}
