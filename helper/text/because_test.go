package text

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestBecause(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{fs.ErrNotExist, "cannot lock: file does not exist"},
		{fmt.Errorf("cannot read it: %w", fs.ErrNotExist), "cannot lock: could not read it: file does not exist"},
		{fmt.Errorf("cannot look: %w", Because(fmt.Errorf("cannot read it: %w", fs.ErrNotExist))), "cannot lock: could not look: could not read it: file does not exist"},
	} {
		err := fmt.Errorf("cannot lock: %w", Because(test.err))
		if err.Error() != test.want || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q, want %q", err, test.want)
		}
	}
	if Because(nil) != nil {
		t.Error("the cause of no error is one")
	}
}
