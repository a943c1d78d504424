// Package systemd holds the units in which the helper does its work. It has no code,
// only checks of these files. packaging/testbed/systemd tests them under a real systemd.
package systemd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func unitOf(verb helper.Verb) string {
	if verb.AtBoot() {
		return "immutability-" + string(verb) + ".service" // the classic layout's name for the seal
	}
	return "immutray-" + string(verb) + ".service"
}

// forPeople returns the verbs that a person can ask for.
func forPeople() []helper.Verb {
	return slices.DeleteFunc(helper.Verbs(), helper.Verb.AtBoot)
}

const (
	// relock is the unit of the timers that end windows.
	relock = "immutray-relock@.service"
	// reclaim is the one that ends the write access of commands of "immutectl run".
	reclaim = "immutray-reclaim@.service"
	// onSleep and onLogout are those of relock_on.
	onSleep  = "immutray-sleep.service"
	onLogout = "immutray-logout.service"
	metrics  = "immutray-metrics.service"
	// cameUp takes a sealed boot off the record of those that did not come up.
	cameUp = "immutray-came-up.service"
	// inhibit makes shutdown and sleep wait during a window.
	inhibit = "immutray-inhibit.service"
)

// units returns every service: the files of the directory.
func units(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.service")
	if err != nil || len(names) == 0 {
		t.Fatalf("the services: %q, %v", names, err)
	}
	return names
}

// An option is one line of a unit.
type option struct{ section, name, value string }

// read returns the options of a unit as systemd puts them together: those of the file, and
// then those of the drop-ins for what the unit's name begins with.
func read(t *testing.T, unit string) []option {
	t.Helper()
	options := readFile(t, unit)
	kind := filepath.Ext(unit)
	name, _, _ := strings.Cut(strings.TrimSuffix(unit, kind), "@")
	for i, c := range name {
		if c != '-' {
			continue
		}
		files, err := filepath.Glob(name[:i+1] + kind + ".d/*.conf")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			options = append(options, readFile(t, file)...)
		}
	}
	return options
}

func readFile(t *testing.T, name string) []option {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var options []option
	section := ""
	lines := bufio.NewScanner(f)
	begun := "" // the lines before of an option that has several
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		line = begun + line
		if before, goesOn := strings.CutSuffix(line, "\\"); goesOn {
			begun = before
			continue
		}
		begun = ""
		if line[0] == '[' {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == "" {
			t.Fatalf("%s: %q is no option", name, line)
		}
		options = append(options, option{section, key, value})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return options
}

func values(options []option, name string) []string {
	var found []string
	for _, o := range options {
		if o.name == name {
			found = append(found, o.value)
		}
	}
	return found
}

func TestUnitsRunTheHelper(t *testing.T) {
	arguments := map[string]string{
		relock:   "lock --work --due",
		reclaim:  "lock --work --lent",
		onSleep:  "lock --work --on sleep",
		onLogout: "lock --work --on logout",
	}
	for _, verb := range forPeople() {
		arguments[unitOf(verb)] = string(verb) + " --work"
	}
	for unit, arguments := range arguments {
		options := read(t, unit)
		for name, want := range map[string]string{
			"ExecStart": helper.HelperPath + " " + arguments,
			"Type":      "oneshot",
			// Else a sixth request within ten seconds would be refused.
			"StartLimitIntervalSec": "0",
			// Else it would have a mount namespace of its own (see TestNoMountNamespace).
			"PrivateMounts": "no",
		} {
			if got := values(options, name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s=%q, want %q", unit, name, got, want)
			}
		}
		for _, name := range []string{
			"RemainAfterExit", // a second request would find the unit active and do nothing
			"ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost",
			"User", "Group", "Environment", "EnvironmentFile", "PassEnvironment",
			"SuccessExitStatus",
		} {
			if got := values(options, name); got != nil {
				t.Errorf("%s has %s=%q", unit, name, got)
			}
		}
	}
}

// Any of these gives the unit a mount namespace of its own, or may in some version of
// systemd (exec_needs_mount_namespace, read in 255 and in a later one). Then the mount
// flag would not reach the machine.
func TestNoMountNamespace(t *testing.T) {
	forbidden := []string{
		"RootDirectory", "RootImage", "RootHash", "RootVerity", "RootMStack", "MountAPIVFS",
		"BindLogSockets", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "MountImages",
		"ExtensionImages", "ExtensionDirectories", "MountFlags",
		"ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths",
		"ReadWriteDirectories", "ReadOnlyDirectories", "InaccessibleDirectories",
		"PrivateTmp", "PrivateDevices", "PrivateIPC", "PrivatePIDs", "PrivateUsers", "PrivateBPF",
		"IPCNamespacePath", "NetworkNamespacePath", "JoinsNamespaceOf",
		"ProtectSystem", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
		"ProtectControlGroups", "ProtectProc", "ProcSubset", "DynamicUser", "LogNamespace",
		"LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted", "ImportCredential",
		"StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory",
	}
	for _, unit := range units(t) {
		for _, o := range read(t, unit) {
			if slices.Contains(forbidden, o.name) {
				t.Errorf("%s: %s=%s gives it a mount namespace of its own", unit, o.name, o.value)
			}
		}
	}
}

// What has to run in every target.
func TestUnitsOutliveAChangeOfTarget(t *testing.T) {
	// Those of the boot belong to its targets, and the timer starts the metrics again.
	elsewhere := []string{unitOf(helper.Seal), unitOf(helper.Unseal), cameUp, metrics}
	for _, unit := range append(units(t), "immutray-logout.path") {
		if slices.Contains(elsewhere, unit) {
			continue
		}
		if got := values(read(t, unit), "IgnoreOnIsolate"); len(got) != 1 || got[0] != "yes" {
			t.Errorf("%s: IgnoreOnIsolate=%q", unit, got)
		}
	}
}

// The units have the same rights, and are different only in the verb and in what starts them.
func TestUnitsAreAlike(t *testing.T) {
	withoutIn := func(unit, section string, names ...string) []option {
		return slices.DeleteFunc(read(t, unit), func(o option) bool {
			return slices.Contains(names, o.name) || section != "" && o.section != section
		})
	}
	without := func(verb helper.Verb, section string, names ...string) []option {
		return withoutIn(unitOf(verb), section, names...)
	}
	lock := without(helper.Lock, "", "Description", "ExecStart")
	for _, verb := range forPeople() {
		own := []string{"Description", "ExecStart"}
		if verb == helper.Unlock {
			own = append(own, "Wants") // the inhibitor
		}
		if other := without(verb, "", own...); !slices.Equal(lock, other) {
			t.Errorf("the units differ:\n%v\n%v", lock, other)
		}
	}
	timed := withoutIn(relock, "", "Description", "ExecStart", "CollectMode", "Restart", "RestartSec")
	if !slices.Equal(lock, timed) {
		t.Errorf("the units differ:\n%v\n%v", lock, timed)
	}
	lent := withoutIn(reclaim, "", "Description", "ExecStart", "CollectMode", "Restart", "RestartSec")
	if !slices.Equal(lock, lent) {
		t.Errorf("the units differ:\n%v\n%v", lock, lent)
	}
	asleep := withoutIn(onSleep, "", "Description", "ExecStart", "WantedBy", "TimeoutStartSec", "TimeoutStopSec")
	asleep = slices.DeleteFunc(asleep, func(o option) bool { return o.value == "sleep.target" })
	if want := without(helper.Lock, "", "Description", "ExecStart", "TimeoutStartSec", "TimeoutStopSec", "NotifyAccess"); !slices.Equal(want, asleep) {
		t.Errorf("the units differ:\n%v\n%v", want, asleep)
	}
	away := withoutIn(onLogout, "", "Description", "ExecStart", "Restart", "RestartSec", "RestartPreventExitStatus")
	if !slices.Equal(lock, away) {
		t.Errorf("the units differ:\n%v\n%v", lock, away)
	}
	lock = without(helper.Lock, "Service", "ExecStart", "TimeoutStartSec", "TimeoutStopSec", "NotifyAccess")
	seal := without(helper.Seal, "Service", "ExecStart", "TimeoutStartSec", "ExecCondition", "ExecStop", "RemainAfterExit", "RuntimeDirectory", "RuntimeDirectoryPreserve")
	if !slices.Equal(lock, seal) {
		t.Errorf("the services differ:\n%v\n%v", lock, seal)
	}
	own := []string{"Description", "ConditionPathExists", "ExecStart", "ExecCondition", "ExecStop", "RuntimeDirectory", "Also", "Wants"}
	seal, unseal := without(helper.Seal, "", own...), without(helper.Unseal, "", own...)
	if !slices.Equal(seal, unseal) {
		t.Errorf("the units of the boot differ:\n%v\n%v", seal, unseal)
	}
}

// If the lock at the end of a window is blocked, it is tried again, without a busy loop, and
// succeeds within 35 seconds after the last obstacle is gone.
func TestTheEndOfAWindowIsTriedAgain(t *testing.T) {
	options := read(t, relock)
	for name, want := range map[string]string{
		"Restart":    "on-failure", // systemd 244: also for Type=oneshot
		"RestartSec": "20s",
		// Else systemd would keep each failed instance in memory.
		"CollectMode": "inactive-or-failed",
	} {
		if got := values(options, name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
}

func TestEachVerbHasItsUnit(t *testing.T) {
	for _, verb := range helper.Verbs() {
		if !slices.Contains(units(t), unitOf(verb)) {
			t.Errorf("there is no %s", unitOf(verb))
		}
	}
}

// Most of this is in a drop-in. A service with another name would silently have none of it.
// A test in packaging/testbed/systemd looks at what systemd has loaded.
func TestEveryServiceIsHardened(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	for _, unit := range units(t) {
		options := read(t, unit)
		for name, want := range map[string]string{
			"LimitCORE": "0", "PrivateNetwork": "yes", "PrivateMounts": "no", "NoNewPrivileges": "yes",
			"LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "RestrictRealtime": "yes",
			"RestrictSUIDSGID": "yes", "RestrictAddressFamilies": "AF_UNIX", "SystemCallArchitectures": "native",
			"SystemCallErrorNumber": "EPERM", "DevicePolicy": "closed", "IPAddressDeny": "any",
			"KeyringMode": "private", "UMask": "0077", "ProtectClock": "yes", "ProtectHostname": "yes",
		} {
			if got := values(options, name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s=%q, want %q", unit, name, got, want)
			}
		}
		for _, name := range []string{"CapabilityBoundingSet", "RestrictNamespaces"} {
			if got := values(options, name); len(got) != 1 {
				t.Errorf("%s: %s=%q, want one", unit, name, got)
			}
		}
		calls := allowedCalls(t, unit)
		if calls["reboot"] || calls["chroot"] || calls["init_module"] || !calls["openat"] {
			t.Errorf("%s: the system calls it may make are %v", unit, calls)
		}
	}
}

func TestExposure(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	for _, unit := range units(t) {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=35", "--no-pager", "./"+unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s is more exposed than 3.5: %v\n%s", unit, err, out)
		}
	}
}

func TestUnitsAreValid(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	for _, unit := range units(t) {
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", "./"+unit).CombinedOutput()
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			// The programs need not be installed on this machine.
			notInstalled := strings.Contains(line, helper.HelperPath+" is not executable") || strings.Contains(line, "immutectl is not executable")
			if (strings.Contains(line, unit) || strings.Contains(line, ".service.d/")) && !notInstalled {
				t.Errorf("%v: %s", err, line)
			}
		}
	}
}
