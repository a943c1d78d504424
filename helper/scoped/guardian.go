package scoped

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
	"immutray.org/helper/statefile"
)

// GuardianSocket is the descriptor on which a guardian talks to its runner.
const GuardianSocket = 3

const (
	// relockEvery is how often a system-wide command's end is tried again when something
	// blocks the lock.
	relockEvery = 5 * time.Second
	// beginning is how long the command may take to begin when access is lent: a runner
	// that was stopped before that does not keep it.
	beginning = 10 * time.Second
	// sayPatience is how long an answer waits for a runner that is stopped.
	sayPatience = 5 * time.Second
)

// A Guardian holds the loan for one command.
type Guardian struct {
	Engine func(config.Config) *engine.Engine
	// Helper unlocks and locks, for system-wide commands.
	Helper interface {
		Do(ctx context.Context, r helper.Request) (*helper.Result, error)
	}
	// Leave takes the process out of reach of what may kill the runner. That it fails is
	// noted, and no more: in rescue mode there may be nobody to ask.
	Leave func(ctx context.Context) error
	// Inhibit has shutdown and sleep wait for the command until release is called. That it
	// can't is no reason not to run the command, as there may be nobody who knows of either;
	// unless it is too late, by [helper.ErrGoingOff].
	Inhibit func(ctx context.Context, run helper.Run) (release func(), err error)
}

// Serve does what the runner at the other end of conn orders, until the command has
// ended, the runner is gone, or ctx ends: which is at shutdown.
func (g *Guardian) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	messages := receive(conn)
	defer func() {
		conn.Close()
		for range messages {
		}
	}()
	first, ok := <-messages
	if !ok || first.Order == nil || first.Config == nil {
		return errors.New("cannot guard a command: there is no order")
	}
	w := &ward{Guardian: g, engine: g.Engine(*first.Config), run: *first.Order}
	if first.Asked != nil && first.Asked.Message != "" && w.engine.Journal != nil {
		w.engine.Journal(*first.Asked)
	}
	// It is held before the command begins, and not any longer when the runner hears of the
	// end: who asks for the shutdown then is not to be refused.
	release, err := g.Inhibit(ctx, w.run)
	if err != nil {
		release = func() {}
	}
	release = sync.OnceFunc(release)
	defer release()
	if errors.Is(err, helper.ErrGoingOff) && first.TakeOver == nil {
		result := &helper.Result{Request: helper.Request{Verb: helper.RunCommand}, Outcome: helper.Failed, Error: "cannot run the command: " + helper.ErrGoingOff.Error()}
		say(conn, message{Result: result})
		return result.Err()
	}
	result := w.begin(ctx, first.TakeOver)
	say(conn, message{Result: result, Lent: w.loan != nil, Unlocked: w.unlocked})
	if w.loan == nil {
		return result.Err()
	}
	w.attend(ctx, messages, conn)
	// What is left to do is done however we are asked to end.
	result = w.end(context.WithoutCancel(ctx))
	release()
	say(conn, message{Result: result})
	for w.unlocked != "" && result.Outcome != helper.Done {
		timer := time.NewTimer(relockEvery)
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

// say sends an answer. Who is gone is noticed elsewhere, and who does not read is not
// waited for.
func say(conn io.Writer, m message) {
	if c, ok := conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = c.SetWriteDeadline(time.Now().Add(sayPatience))
	}
	_ = send(conn, m)
}

// A ward is one command and what was lent for it.
type ward struct {
	*Guardian
	engine    *engine.Engine
	run       helper.Run
	loan      *engine.Loan
	namespace *os.File        // nil until the command has one
	ended     <-chan struct{} // closed when the command has ended; nil until it has begun
	stop      func()          // ends the watch of the command
	unlocked  string          // the id of our own unlock, if there was one
	inReach   error           // why we could not leave
}

// attend returns when the loan is to be returned.
func (w *ward) attend(ctx context.Context, messages <-chan message, conn io.Writer) {
	late := time.NewTimer(beginning)
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

func (w *ward) begin(ctx context.Context, before *message) *helper.Result {
	w.inReach = w.Leave(ctx)
	var result *helper.Result
	if before == nil {
		w.engine.Reclaim(ctx)
		w.loan, result = w.engine.Lend(ctx, w.run)
	} else {
		w.loan, result = w.engine.TakeOver(ctx, w.run)
		w.unlocked = before.Unlocked
	}
	if w.loan == nil || !w.run.SystemWide || before != nil {
		return result
	}
	unlocked, err := w.Helper.Do(ctx, w.unlockRequest())
	if err == nil {
		w.unlocked = unlocked.Request.ID
		return result
	}
	w.loan.Return(ctx, nil)
	if unlocked != nil { // else it may still be at work
		w.loan.Forget()
	}
	w.loan = nil
	return refused(result, unlocked, err)
}

// unlockRequest asks for the longest window that there may be. It ends with the command:
// while that is at work a lock at the end of the time is refused, and tried again.
func (w *ward) unlockRequest() helper.Request {
	r := helper.Request{Verb: helper.Unlock, Reason: w.run.WindowReason(), IgnoreConfig: w.run.IgnoreConfig}
	if longest := w.engine.Config.UnlockMax; longest != config.UntilLocked {
		r.For = longest
	} else {
		r.UntilLocked = true
	}
	return r
}

// refused is the result of a command whose unlock or lock, which may have no result, has
// failed.
func refused(result, step *helper.Result, err error) *helper.Result {
	result.Outcome, result.Limit = helper.Failed, helper.LimitOf(err)
	if step != nil {
		result.Outcome, result.Limit, result.Unfit = step.Outcome, step.Limit, step.Unfit
		result.Writers, result.MoreWriters = step.Writers, step.MoreWriters
		result.Islands, result.Holder = step.Islands, step.Holder
		result.Status = step.Status
	}
	result.Error = err.Error()
	return result
}

// take notes the command, or its namespace.
func (w *ward) take(m message) message {
	if m.Command != nil {
		return w.watch(*m.Command)
	}
	f, err := os.Open(m.Namespace)
	if err != nil {
		return message{Error: "cannot find the command's mounts: " + err.Error()}
	}
	if w.namespace != nil {
		w.namespace.Close()
	}
	w.namespace = f
	info, err := f.Stat()
	if err == nil {
		err = w.loan.Show(info.Sys().(*syscall.Stat_t).Ino)
	}
	if err != nil {
		return message{Error: err.Error()}
	}
	return message{}
}

// watch notes the command. Where it can't be watched the runner has to tell of its end.
func (w *ward) watch(p process) message {
	ended, stop, err := p.watch()
	if err != nil {
		return message{Error: err.Error()}
	}
	w.ended, w.stop = ended, stop
	return message{}
}

// end takes back what was lent, the property at the latest within a second.
func (w *ward) end(ctx context.Context) *helper.Result {
	if w.stop != nil {
		w.stop()
	}
	var busy []string
	if w.namespace != nil {
		busy = closeNamespace(w.namespace, w.engine.Config.Paths)
		w.namespace.Close()
	}
	result := w.loan.Return(ctx, busy)
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

// lock ends the window that was opened for the command, unless somebody has opened
// another since: that one has an end of its own.
func (w *ward) lock(ctx context.Context) *helper.Result {
	if state, err := statefile.Read(w.engine.Config.StateDir); err == nil && state.Last != nil {
		last := state.Last
		if last.Request.Verb == helper.Unlock && last.Outcome == helper.Done && last.Request.ID != w.unlocked {
			w.loan.Forget()
			return &helper.Result{Request: last.Request, Outcome: helper.Done, Status: last.Status,
				Notices: []string{fmt.Sprintf("not locked: %s has asked for a time of its own since", last.Request.User)}}
		}
	}
	result, err := w.Helper.Do(ctx, helper.Request{Verb: helper.Lock, AfterRun: true})
	if err == nil {
		w.loan.Forget()
		return result
	}
	return refused(&helper.Result{Request: helper.Request{Verb: helper.Lock}}, result, err)
}
