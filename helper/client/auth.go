package client

import (
	"errors"
	"strings"

	"immutray.org/helper/text"
)

// ErrCancelled is returned when the password prompt was dismissed.
var ErrCancelled = errors.New("the password prompt was cancelled")

// ErrNoDialog is returned when pkexec answered "dismissed" sooner than a person
// can: GNOME answers so when it could not show its dialog at all, for instance
// because a menu was still open. It is an ErrCancelled too, for errors.Is.
var ErrNoDialog error = noDialogError{}

type noDialogError struct{}

func (noDialogError) Error() string        { return "the password prompt could not be shown" }
func (noDialogError) Is(target error) bool { return target == ErrCancelled }

// ErrNoResult is in the chain when the helper began, and then ended or fell silent without a
// result. Only the state of the system shows what it has done.
var ErrNoResult = errors.New("the helper started, but did not report how it ended")

// An AuthorizationKind says why a request never reached the helper.
type AuthorizationKind int

// The kinds of authorization failure, by what pkexec prints.
const (
	AuthorizationFailed      AuthorizationKind = iota // something else; Detail has pkexec's words
	NotAuthorized                                     // a wrong password, or the policy says no
	NoAgent                                           // no program that asks for the password
	NoPolkit                                          // polkit's service does not answer
	PkexecMissing                                     // pkexec is not installed
	PkexecPowerless                                   // pkexec can't become root: setuid bit, no_new_privs, sandbox
	PkexecRefusedEnvironment                          // SHELL or a locale variable
	HelperMissing                                     // the helper is not where it should be
	HelperUnusable                                    // the helper is there, and can't be started
	OtherVersion                                      // what answered is another version of the helper
)

// An AuthorizationError is a request that ended before the helper began. Nothing
// was changed.
type AuthorizationError struct {
	Kind AuthorizationKind
	// Detail is what pkexec said, in one line; it may be empty.
	Detail string
}

func (e *AuthorizationError) Error() string {
	words := "cannot get authorization: "
	if e.Kind == HelperMissing || e.Kind == HelperUnusable {
		words = "Immutray is damaged: "
	}
	words += authorizationReasons()[e.Kind]
	if e.Detail != "" && e.Kind != HelperMissing { // which says it all
		words += " (" + e.Detail + ")"
	}
	return words
}

func authorizationReasons() map[AuthorizationKind]string {
	return map[AuthorizationKind]string{
		AuthorizationFailed:      "pkexec failed",
		NotAuthorized:            "not authorized",
		NoAgent:                  "there is no program here that can ask for the password",
		NoPolkit:                 "polkit does not answer",
		PkexecMissing:            "pkexec is not installed",
		PkexecPowerless:          "pkexec can't become root here",
		PkexecRefusedEnvironment: "pkexec refused the environment",
		HelperMissing:            "its helper is missing",
		HelperUnusable:           "its helper can't be started",
		OtherVersion:             "the helper is from another version of Immutray",
	}
}

// pkexecWords maps what pkexec prints to its meaning: the exit code is 127 for all of these. The
// messages are not translated (polkit, src/programs/pkexec.c); measured with pkexec 122. The
// first one found counts.
func pkexecWords() []struct {
	words string
	kind  AuthorizationKind
} {
	return []struct {
		words string
		kind  AuthorizationKind
	}{
		{"pkexec must be setuid root", PkexecPowerless},
		// polkitd to a caller in a user namespace. Its name for it is NotAuthorized,
		// so it has to come before that.
		{"Only trusted callers", PkexecPowerless},
		{"No authentication agent found", NoAgent},
		{"Error creating textual authentication agent", NoAgent},
		{"Error registering local authentication agent", NoAgent},
		{"Error getting authority", NoPolkit},
		{"Error accessing ", HelperMissing},
		{"The value for the SHELL variable was not found", PkexecRefusedEnvironment},
		{"contains suspicious content", PkexecRefusedEnvironment},
		{"contains suscipious content", PkexecRefusedEnvironment}, // so spelled before polkit 0.117
		{"Not authorized", NotAuthorized},
	}
}

// exitDismissed is pkexec's exit code for a dialog that the user closed.
const exitDismissed = 126

// pkexecError explains a pkexec that ended without the helper's handshake.
func pkexecError(exitCode int, stderr string, tooSoon bool) error {
	if exitCode == exitDismissed {
		if tooSoon {
			return ErrNoDialog
		}
		return ErrCancelled
	}
	e := &AuthorizationError{Detail: firstLine(stderr)}
	for _, w := range pkexecWords() {
		if strings.Contains(stderr, w.words) {
			e.Kind = w.kind
			break
		}
	}
	return e
}

// maxDetail is how much of what pkexec or the helper printed is shown, in characters.
const maxDetail = 300

func firstLine(s string) string { return text.FirstLine(s, maxDetail) }
