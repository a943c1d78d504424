package helper

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxReason is how long a reason may be, in characters, before anything of it is
// escaped.
const MaxReason = 200

// CleanReason returns a reason as it is recorded and shown: without blanks around it, and with
// escapes in place of control characters, line breaks and characters that turn the direction of
// writing. A reason that is too long, or not UTF-8, is an error. A clean one stays as it is.
func CleanReason(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("cannot record the reason: it is not UTF-8 text")
	}
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n > MaxReason {
		return "", fmt.Errorf("cannot record the reason: it has %d characters, %d are allowed", n, MaxReason)
	}
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		escaped := strconv.QuoteRune(r)
		b.WriteString(escaped[1 : len(escaped)-1])
	}
	return b.String(), nil
}
