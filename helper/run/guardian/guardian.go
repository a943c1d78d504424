// Package guardian is the process that ends the write access of a command of "immutectl
// run": the helper, started by the runner with the argument "guard".
//
// It is in a session and, if PID 1 is systemd, in a scope of its own: whatever kills or
// freezes the runner, the command, their session or their terminal does not reach it. It
// watches the command itself, and learns from the end of a socket that the runner is gone,
// however that came about.
package guardian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/run/namespace"
	"immutray.org/helper/run/records"
	"immutray.org/helper/run/wire"
	"immutray.org/helper/statefile"
)

const (
	// lockEvery is how often the lock at the end of a system-wide command is tried again.
	lockEvery = 5 * time.Second
	// beginTimeout is how long the command may take to begin once it may write: a runner
	// that is stopped before that does not keep the grant.
	beginTimeout = 10 * time.Second
	// sayTimeout is how long an answer waits for a runner that is stopped.
	sayTimeout = 5 * time.Second
)

// A Guardian holds the grant for one command.
type Guardian struct {
	Engine func(config.Config) *engine.Engine
	// Asked records that the command was asked for; parent is the process that has started
	// the runner.
	Asked func(c config.Config, run helper.Run, parent int)
	// Helper unlocks and locks, for system-wide commands.
	Helper interface {
		Do(ctx context.Context, r helper.Request) (*helper.Result, error)
	}
	// Leave takes the process out of reach of what may kill the runner. If it fails, the
	// result has a notice and the command is run: in rescue mode there may be no bus.
	Leave func(ctx context.Context) error
	// Inhibit has shutdown and sleep wait for the command until release is called. The
	// command is run even if it fails, as there may be no logind, except with
	// [helper.ErrGoingOff].
	Inhibit func(ctx context.Context, run helper.Run) (release func(), err error)
}

// Serve does what the runner at the other end of conn orders, until the command has
// ended, the runner is gone, or ctx ends, as it does at shutdown.
func (g *Guardian) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	say(conn, wire.Message{Version: helper.Handshake})
	messages := wire.Receive(conn)
	defer func() {
		conn.Close()
		for range messages {
		}
	}()
	first, ok := <-messages
	switch {
	case ok && first.Version != helper.Handshake:
		return fmt.Errorf("cannot guard a command: the runner is another version, %q", first.Version)
	case !ok || first.Order == nil || first.Config == nil:
		return errors.New("cannot guard a command: the order is missing")
	}
	w := &watch{Guardian: g, engine: g.Engine(*first.Config), run: *first.Order}
	if first.TakeOver == nil {
		g.Asked(*first.Config, w.run, first.Parent)
	}
	// The inhibitor is held before the command begins, and released before the runner learns
	// of the end: a shutdown that is asked for then must not be refused.
	release, err := g.Inhibit(ctx, w.run)
	if err != nil {
		release = func() {}
	}
	release = sync.OnceFunc(release)
	defer release()
	if errors.Is(err, helper.ErrGoingOff) && first.TakeOver == nil {
		result := &helper.Result{Request: helper.Request{Verb: helper.RunCommand}, Outcome: helper.Failed, Error: "cannot run the command: " + helper.ErrGoingOff.Error()}
		say(conn, wire.Message{Result: result})
		return result.Err()
	}
	result := w.begin(ctx, first.TakeOver)
	say(conn, wire.Message{Result: result, Granted: w.grant != nil, Unlocked: w.unlocked})
	if w.grant == nil {
		return result.Err()
	}
	w.attend(ctx, messages, conn)
	// What is left to do is done however this process is asked to end.
	result = w.end(context.WithoutCancel(ctx))
	release()
	say(conn, wire.Message{Result: result})
	for w.unlocked != "" && result.Outcome != helper.Done {
		timer := time.NewTimer(lockEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return result.Err()
		}
		result = w.lock(ctx)
	}
	return result.Err()
}

// say sends an answer. That a runner is gone is noticed elsewhere, and one that does not
// read is not waited for.
func say(conn io.Writer, m wire.Message) {
	if c, ok := conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = c.SetWriteDeadline(time.Now().Add(sayTimeout))
	}
	_ = wire.Send(conn, m)
}

// A watch is over one command and its grant.
type watch struct {
	*Guardian
	engine    *engine.Engine
	run       helper.Run
	grant     *engine.Grant
	namespace *os.File        // nil until the command has one
	ended     <-chan struct{} // closed when the command has ended; nil until it has begun
	stop      func()          // ends the watching of the command
	unlocked  string          // the id of the guardian's own unlock, if there was one
	inReach   error           // why Leave has failed
}

// attend returns when the write access is to end.
func (w *watch) attend(ctx context.Context, messages <-chan wire.Message, conn io.Writer) {
	late := time.NewTimer(beginTimeout)
	defer late.Stop()
	for ctx.Err() == nil {
		select {
		case m, ok := <-messages:
			if !ok || m.End {
				return
			}
			say(conn, w.take(m))
			if m.Command != nil {
				late.Stop()
			}
		case <-w.ended:
			return
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) begin(ctx context.Context, before *wire.Message) *helper.Result {
	w.inReach = w.Leave(ctx)
	var result *helper.Result
	if before == nil {
		w.engine.Reclaim(ctx)
		w.grant, result = w.engine.Grant(ctx, w.run)
	} else {
		w.grant, result = w.engine.TakeOver(ctx, w.run)
		w.unlocked = before.Unlocked
	}
	if w.grant == nil || !w.run.SystemWide || before != nil {
		return result
	}
	unlocked, err := w.Helper.Do(ctx, w.unlockRequest())
	if err == nil {
		w.unlocked = unlocked.Request.ID
		return result
	}
	w.grant.End(ctx, nil)
	if unlocked != nil { // without a result it may still be running
		w.grant.Forget()
	}
	w.grant = nil
	return refused(result, unlocked, err)
}

// unlockRequest asks for the longest window that is allowed. It ends with the command: while
// that runs, the lock at the end of the window is refused, and tried again.
func (w *watch) unlockRequest() helper.Request {
	r := helper.Request{Verb: helper.Unlock, Reason: records.WindowReason(w.run), IgnoreConfig: w.run.IgnoreConfig}
	if longest := w.engine.Config.UnlockMax; longest != config.UntilLocked {
		r.For = longest
	} else {
		r.UntilLocked = true
	}
	return r
}

// refused is the result of a command whose unlock or lock has failed; step is the result of
// that, nil if there is none.
func refused(result, step *helper.Result, err error) *helper.Result {
	result.Outcome, result.Limit = helper.Failed, helper.LimitOf(err)
	if step != nil {
		result.Outcome, result.Limit, result.Unfit = step.Outcome, step.Limit, step.Unfit
		result.Writers, result.MoreWriters = step.Writers, step.MoreWriters
		result.Islands, result.Busy = step.Islands, step.Busy
		result.Status = step.Status
	}
	result.Error = err.Error()
	return result
}

// take notes the command, or its namespace.
func (w *watch) take(m wire.Message) wire.Message {
	if m.Command != nil {
		return w.watchCommand(*m.Command)
	}
	f, err := os.Open(m.Namespace)
	if err != nil {
		return wire.Message{Error: "cannot find the command's mounts: " + err.Error()}
	}
	if w.namespace != nil {
		w.namespace.Close()
	}
	w.namespace = f
	info, err := f.Stat()
	if err == nil {
		err = w.grant.SetNamespace(info.Sys().(*syscall.Stat_t).Ino)
	}
	if err != nil {
		return wire.Message{Error: err.Error()}
	}
	return wire.Message{}
}

// watchCommand notes the command. If it can't be watched, the runner reports its end.
func (w *watch) watchCommand(p wire.Process) wire.Message {
	ended, stop, err := p.Watch()
	if err != nil {
		return wire.Message{Error: err.Error()}
	}
	w.ended, w.stop = ended, stop
	return wire.Message{}
}

// end ends the grant, the property is set within a second at the latest.
func (w *watch) end(ctx context.Context) *helper.Result {
	if w.stop != nil {
		w.stop()
	}
	var busy []string
	if w.namespace != nil {
		busy = namespace.Close(w.namespace, w.engine.Config.Paths)
		w.namespace.Close()
	}
	result := w.grant.End(ctx, busy)
	if w.inReach != nil {
		result.Notices = append(result.Notices, w.inReach.Error())
	}
	if w.unlocked == "" {
		return result
	}
	locked := w.lock(ctx)
	locked.Notices = append(result.Notices, locked.Notices...)
	return locked
}

// lock ends the window that was opened for the command, unless another was opened since,
// which has an end of its own.
func (w *watch) lock(ctx context.Context) *helper.Result {
	if state, err := statefile.Read(w.engine.Config.StateDir); err == nil && state.Last != nil {
		last := state.Last
		if last.Request.Verb == helper.Unlock && last.Outcome == helper.Done && last.Request.ID != w.unlocked {
			w.grant.Forget()
			return &helper.Result{Request: last.Request, Outcome: helper.Done, Status: last.Status,
				Notices: []string{fmt.Sprintf("not locked: %s has set another time since", last.Request.User)}}
		}
	}
	result, err := w.Helper.Do(ctx, helper.Request{Verb: helper.Lock, AfterRun: true})
	if err == nil {
		w.grant.Forget()
		return result
	}
	return refused(&helper.Result{Request: helper.Request{Verb: helper.Lock}}, result, err)
}
