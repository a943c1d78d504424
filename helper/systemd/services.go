package systemd

import (
	"context"
	"reflect"
	"slices"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"immutray.org/helper/sandbox"
)

// Services are the services that PID 1 knows.
type Services struct{ Manager }

// Describe returns what the services called names want of their mounts, as far as PID 1
// answers in time: it may take talkTimeout as long as it goes on answering. After a boot
// that was sealed it is asked about every service with a sandbox, and on a slow machine it
// takes seconds for them.
func (s Services) Describe(ctx context.Context, names []string) map[string]sandbox.Unit {
	described := map[string]sandbox.Unit{}
	ctx, cancel := context.WithTimeout(ctx, talkTimeout)
	defer cancel()
	// What is not answered in time is missing.
	_ = s.talk(ctx, func(ctx context.Context, c *conn) error {
		// A bus takes only so many calls that are not answered yet
		// (max_replies_per_connection in dbus-daemon(1)).
		for some := range slices.Chunk(names, 32) {
			if err := c.describe(ctx, some, described); err != nil {
				return err
			}
		}
		return nil
	})
	return described
}

// describe asks about services, all at once. After an error the rest would not be answered
// either.
func (c *conn) describe(ctx context.Context, names []string, described map[string]sandbox.Unit) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	calls := make([]*dbus.Call, len(names))
	for i, name := range names {
		calls[i] = c.Object(systemdName, unitPath(name)).GoWithContext(ctx, properties+".GetAll", 0, nil, systemdService)
	}
	for i, call := range calls {
		late := time.AfterFunc(c.timeout, cancel)
		<-call.Done
		if !late.Stop() {
			return &noAnswerError{context.DeadlineExceeded}
		}
		var values map[string]dbus.Variant
		if call.Store(&values) == nil {
			described[names[i]] = describe(values)
		}
	}
	return nil
}

// unitPath returns the object of a unit.
func unitPath(name string) dbus.ObjectPath {
	return systemdPath + "/unit/" + dbus.ObjectPath(sd.PathBusEscape(name))
}

// describe reads the properties of a service (org.freedesktop.systemd1(5)). One that this
// systemd does not have is not set.
func describe(values map[string]dbus.Variant) sandbox.Unit {
	text := func(name string) string {
		v, _ := values[name].Value().(string)
		return v
	}
	texts := func(name string) []string {
		v, _ := values[name].Value().([]string)
		return v
	}
	unit := sandbox.Unit{Sandbox: sandbox.New(sandbox.Settings{
		ProtectSystem:          text("ProtectSystem"),
		ProtectHome:            text("ProtectHome"),
		RootDirectory:          text("RootDirectory"),
		RootImage:              text("RootImage"),
		ReadWritePaths:         texts("ReadWritePaths"),
		ReadOnlyPaths:          texts("ReadOnlyPaths"),
		InaccessiblePaths:      texts("InaccessiblePaths"),
		ExecPaths:              texts("ExecPaths"),
		NoExecPaths:            texts("NoExecPaths"),
		BindPaths:              destinations(values["BindPaths"]),
		BindReadOnlyPaths:      destinations(values["BindReadOnlyPaths"]),
		ConfigurationDirectory: texts("ConfigurationDirectory"),
		RuntimeDirectory:       texts("RuntimeDirectory"),
		StateDirectory:         texts("StateDirectory"),
		CacheDirectory:         texts("CacheDirectory"),
		LogsDirectory:          texts("LogsDirectory"),
		Private:                isPrivate(values),
	})}
	for _, name := range []string{"MainPID", "ControlPID"} {
		if pid, _ := values[name].Value().(uint32); pid != 0 {
			unit.Processes = append(unit.Processes, int(pid))
		}
	}
	return unit
}

func destinations(v dbus.Variant) []string {
	var binds []struct {
		Source, Destination string
		Ignore              bool
		Flags               uint64
	}
	if v.Value() == nil || v.Store(&binds) != nil {
		return nil
	}
	paths := make([]string, len(binds))
	for i, b := range binds {
		paths[i] = b.Destination
	}
	return paths
}

// isPrivate reports whether a setting that has no path gives the unit a mount namespace
// (exec_needs_mount_namespace in systemd's src/core/execute.c).
func isPrivate(values map[string]dbus.Variant) bool {
	for _, name := range []string{
		"PrivateTmp", "PrivateTmpEx", "PrivateDevices", "PrivateMounts", "PrivateNetwork", "PrivateIPC", "PrivatePIDs",
		"ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectControlGroupsEx",
		"ProtectHostname", "ProtectHostnameEx", "MountAPIVFS", "BindLogSockets", "MountFlags", "LogNamespace", "ProtectProc", "ProcSubset",
		"DynamicUser",
	} {
		switch v := values[name].Value().(type) {
		case bool:
			if v {
				return true
			}
		case uint64:
			if v != 0 {
				return true
			}
		case string:
			if v != "" && v != "no" && v != "default" && v != "all" {
				return true
			}
		}
	}
	for _, name := range []string{"TemporaryFileSystem", "MountImages", "ExtensionImages"} {
		if !isEmpty(values[name]) {
			return true
		}
	}
	directories, _ := values["ExtensionDirectories"].Value().([]string)
	return len(directories) > 0
}

// isEmpty reports whether an array has no members.
func isEmpty(v dbus.Variant) bool {
	array := reflect.ValueOf(v.Value())
	return array.Kind() != reflect.Slice || array.Len() == 0
}
