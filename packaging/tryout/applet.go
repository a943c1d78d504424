package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"immutray.org/packaging/tryout/desktop"
)

// An applet is the one that the person sees. Whoever ends it by "Quit" can start it again.
type applet struct {
	session *desktop.Session
	where   string    // where it is seen
	out     io.Writer // is told when it has ended

	mu      sync.Mutex
	running *desktop.Process // nil before the first start
	leaving bool             // the practice system ends, and the applet with it
}

// start starts the applet if it is not running, and returns what to say about that.
func (a *applet) start() (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running != nil && !a.running.Ended() {
		return "The applet is running. " + a.where, nil
	}
	started, err := a.session.Start("immutray")
	if err != nil {
		return "", err
	}
	a.running = started
	go a.report(started)
	return "The applet has started. " + a.where, nil
}

// report says that the applet has ended, and what it has printed.
func (a *applet) report(p *desktop.Process) {
	<-p.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving {
		return
	}
	fmt.Fprintln(a.out, "\nThe applet has ended. Type \"immutray\" to start it again.")
	if log := strings.TrimSpace(p.Log()); log != "" {
		fmt.Fprintln(a.out, log)
	}
}

// leave says that the applet will be ended, which need not be reported.
func (a *applet) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaving = true
}
