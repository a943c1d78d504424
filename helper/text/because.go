package text

import "strings"

// Because returns err as the cause in another error, nil for nil: after "cannot lock: " it
// says "could not read …" instead of "cannot" once more.
func Because(err error) error {
	if err == nil {
		return nil
	}
	return because{err}
}

type because struct{ error }

func (b because) Error() string {
	cause := b.error.Error()
	if rest, ok := strings.CutPrefix(cause, "cannot "); ok {
		return "could not " + rest
	}
	return cause
}

func (b because) Unwrap() error { return b.error }
