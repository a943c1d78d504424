package frontdesk

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper/sandbox"
)

// unitsPatience is how long PID 1 and the bus may take to tell about services.
const unitsPatience = 3 * time.Second

// services are those that PID 1 knows.
type services struct{ address string }

// Describe returns what the services called names want of their mounts, as far as PID 1
// tells in time.
func (s services) Describe(ctx context.Context, names []string) map[string]sandbox.Unit {
	described := map[string]sandbox.Unit{}
	ctx, cancel := context.WithTimeout(ctx, unitsPatience)
	defer cancel()
	conn, err := dbus.Connect(s.address, dbus.WithContext(ctx))
	if err != nil {
		return described
	}
	defer conn.Close()
	// A bus takes only so many calls that are not answered yet (max_replies_per_connection
	// in dbus-daemon(1)).
	const most = 32
	for len(names) > 0 {
		some := names[:min(most, len(names))]
		names = names[len(some):]
		calls := make([]*dbus.Call, len(some))
		for i, name := range some {
			calls[i] = conn.Object(systemdName, unitPath(name)).GoWithContext(ctx, properties+".GetAll", 0, nil, systemdService)
		}
		for i, call := range calls {
			select {
			case <-call.Done:
			case <-ctx.Done():
				return described
			}
			var values map[string]dbus.Variant
			if call.Store(&values) == nil {
				described[some[i]] = describe(values)
			}
		}
	}
	return described
}

// unitPath returns the object of a unit (bus_label_escape in systemd's
// src/basic/bus-label.c).
func unitPath(name string) dbus.ObjectPath {
	var path strings.Builder
	path.WriteString(string(systemdPath) + "/unit/")
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9' && i > 0:
			path.WriteByte(c)
		default:
			fmt.Fprintf(&path, "_%02x", c)
		}
	}
	return dbus.ObjectPath(path.String())
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
