package tray

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper/client"
)

const (
	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
	systemdManager = "org.freedesktop.systemd1.Manager"
)

const (
	// promptLimit is how long the password may take to come.
	promptLimit = 10 * time.Minute
	// jobsLimit is how long services may take to be restarted: systemd gives each 90 s to
	// stop and 90 s to start, unless its unit says otherwise (systemd-system.conf(5)).
	jobsLimit = 4 * time.Minute
	// readLimit is less than a person needs to read a dialog and close it.
	readLimit = 500 * time.Millisecond
)

// errNoAgent says that polkit found no program that could ask for the password.
var errNoAgent = errors.New("there is no program here that can ask for the password")

// errNoAnswer says that the prompt, or systemd, took too long.
var errNoAnswer = errors.New("no answer in time")

// services are those of the system, restarted by systemd itself. It has polkit ask for an
// administrator's password, once for all of them: org.freedesktop.systemd1.manage-units is
// auth_admin_keep. The zero value has the usual limits.
type services struct{ bus, prompt, jobs, read time.Duration }

// Restart restarts those of the units that are active, and waits until they have been. After
// one that can't be restarted it goes on with the others. When the password prompt was
// dismissed the error is a client.ErrCancelled.
func (s services) Restart(ctx context.Context, units []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(limit(s.bus, busTimeout), cancel)
	conn, err := connectSystem(ctx)
	if err != nil {
		return err
	}
	silent.Stop()
	defer conn.Close()
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	if err := subscribe(ctx, conn); err != nil {
		return fmt.Errorf("cannot ask systemd: %w", err)
	}
	var failures []error
	jobs := map[dbus.ObjectPath]string{}
	for _, unit := range polkitLast(units) {
		job, err := s.begin(ctx, conn, unit)
		if err == nil {
			jobs[job] = unit
			continue
		}
		failures = append(failures, fmt.Errorf("cannot restart %s: %w", unit, err))
		if isForAll(err) {
			break
		}
	}
	// A service that is down now matters more than a prompt that was dismissed.
	failures = append(s.await(ctx, signals, jobs), failures...)
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	}
	return fmt.Errorf("%w (%s)", failures[0], andMore(len(failures)-1))
}

// polkitLast has polkit go on answering until it is asked about itself.
func polkitLast(units []string) []string {
	last := func(unit string) bool { return unit == "polkit.service" }
	if !slices.ContainsFunc(units, last) {
		return units
	}
	return append(slices.DeleteFunc(slices.Clone(units), last), "polkit.service")
}

// subscribe has systemd send a signal at the end of a job: it does so only for subscribers
// (org.freedesktop.systemd1(5)).
func subscribe(ctx context.Context, conn *dbus.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	err := conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(systemdName), dbus.WithMatchObjectPath(systemdPath),
		dbus.WithMatchInterface(systemdManager), dbus.WithMatchMember("JobRemoved"))
	if err != nil {
		return err
	}
	return conn.Object(systemdName, systemdPath).CallWithContext(ctx, systemdManager+".Subscribe", 0).Err
}

// begin has systemd begin to restart a unit, and returns the job.
func (s services) begin(ctx context.Context, conn *dbus.Conn, unit string) (job dbus.ObjectPath, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit(s.prompt, promptLimit))
	defer cancel()
	asked := time.Now()
	call := <-conn.SendWithContext(ctx, tryRestart(unit), nil).Done
	err = call.Store(&job)
	var refused dbus.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", errNoAnswer
	case !errors.As(err, &refused):
		return job, err
	}
	switch refused.Name {
	case "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return "", errNoAgent
	case "org.freedesktop.DBus.Error.AccessDenied":
		// systemd says the same of a prompt that was dismissed, of a wrong password, and
		// of rules that allow no one (src/shared/bus-polkit.c).
		if time.Since(asked) < limit(s.read, readLimit) {
			return "", client.ErrNoDialog
		}
		return "", client.ErrCancelled
	}
	return "", err
}

// tryRestart is a call of TryRestartUnit that allows a prompt for a password. It is made by
// hand because the calls of godbus' objects drop that flag (createCall in its object.go).
func tryRestart(unit string) *dbus.Message {
	body := []any{unit, "replace"}
	return &dbus.Message{
		Type:  dbus.TypeMethodCall,
		Flags: dbus.FlagAllowInteractiveAuthorization,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(systemdName),
			dbus.FieldPath:        dbus.MakeVariant(systemdPath),
			dbus.FieldInterface:   dbus.MakeVariant(systemdManager),
			dbus.FieldMember:      dbus.MakeVariant("TryRestartUnit"),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(body...)),
		},
		Body: body,
	}
}

// isForAll reports whether the other units would fare the same.
func isForAll(err error) bool {
	var refused dbus.Error // NoSuchUnit, say
	return !errors.As(err, &refused)
}

// await waits for the ends of jobs, and returns those that were none to be wished for.
func (s services) await(ctx context.Context, signals <-chan *dbus.Signal, jobs map[dbus.ObjectPath]string) []error {
	ctx, cancel := context.WithTimeout(ctx, limit(s.jobs, jobsLimit))
	defer cancel()
	var failures []error
	for len(jobs) > 0 {
		select {
		case signal, ok := <-signals:
			if !ok {
				return append(failures, fmt.Errorf("cannot follow the restart: %w", dbus.ErrClosed))
			}
			job, result := removed(signal)
			unit, ours := jobs[job]
			delete(jobs, job)
			if ours && result != "done" && result != "skipped" {
				failures = append(failures, fmt.Errorf("cannot restart %s: systemd reports %q", unit, result))
			}
		case <-ctx.Done():
			late := strings.Join(slices.Sorted(maps.Values(jobs)), ", ")
			return append(failures, fmt.Errorf("cannot restart %s: %w", late, errNoAnswer))
		}
	}
	return failures
}

// removed reads JobRemoved: the job, and how it ended.
func removed(s *dbus.Signal) (job dbus.ObjectPath, result string) {
	var id uint32
	var unit string
	if s.Name != systemdManager+".JobRemoved" || dbus.Store(s.Body, &id, &job, &unit, &result) != nil {
		return "", ""
	}
	return job, result
}

func limit(own, usual time.Duration) time.Duration {
	if own != 0 {
		return own
	}
	return usual
}
