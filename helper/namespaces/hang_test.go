package namespaces

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"immutray.org/packaging/testbed/lab"
)

// A look at the namespace of a process that hangs would hang as well.
func TestProcessesThatHangDoNotHoldUpFind(t *testing.T) {
	const many = maxReaders + 5
	_, pids := lab.HangInExec(t, lab.Dir(t), many)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	set, err := Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("Find took %v", took)
	}
	if set.Left < many || len(set.Namespaces) == 0 || !set.Namespaces[0].Self {
		t.Errorf("Find = %+v, want our own namespace and %d left", set, many)
	}
	if _, err := Of(pids[0]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Of one that hangs = %v", err)
	}
}
