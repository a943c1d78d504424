package doctor

import (
	"fmt"
	"strings"

	"immutray.org/helper/distribution"
)

const (
	sealUnit   = "immutability-seal.service"
	unsealUnit = "immutability-unseal.service"
)

func checkKernel(f Facts) []Finding {
	finding := Finding{Severity: OK, Check: "kernel", What: "Linux " + f.Kernel + " is new enough", Why: "Immutray is tested with Linux 6.1 and newer"}
	switch {
	case !atLeast(f.Kernel, 5, 12): // mount_setattr(2) is what the lock is made of
		finding.Severity = Problem
		finding.What = "Linux " + f.Kernel + " is too old"
		finding.Why = "the lock needs 6.1 or newer, which Debian has since 12"
	case !atLeast(f.Kernel, 6, 1):
		finding.Severity = Warning
		finding.What = "Linux " + f.Kernel + " is older than the versions that Immutray is tested with"
		finding.Why = "the lock was never tested with a kernel before 6.1"
	}
	return []Finding{finding}
}

func checkSeal(f Facts) []Finding {
	finding := Finding{Severity: Warning, Check: "seal"}
	const why = "an unlocked system stays unlocked after a restart"
	switch {
	case f.Seal.Override != "":
		finding.What = f.Seal.Override + " replaces the seal that comes with Immutray"
		finding.Why = "a seal made by hand may make the whole file system read-only"
		finding.Mend = []string{"rm " + quote(f.Seal.Override), "systemctl daemon-reload", "systemctl reenable " + sealUnit}
	case !f.Seal.Installed:
		finding.What = sealUnit + " is not installed"
		finding.Why = why
	case f.Seal.Masked:
		finding.What = "sealing at boot is masked"
		finding.Why = why
		finding.Mend = []string{"systemctl unmask " + sealUnit, "systemctl enable " + sealUnit}
	case !f.Seal.Enabled:
		finding.What = "sealing at boot is not enabled"
		finding.Why = why
		finding.Mend = []string{"systemctl enable " + sealUnit}
	case f.Seal.Alone:
		finding.What = "a boot with the word rw does not unlock"
		finding.Why = "a system that was locked when it was shut down stays read-only, because " + unsealUnit + " is not enabled"
		finding.Mend = []string{"systemctl reenable " + sealUnit} // it enables both
	case f.Seal.Skipped != "":
		// Not only for this once: a boot loader can be set up to say rw always.
		finding.What = "sealing at boot is enabled, but this boot was not sealed: " + f.Seal.Skipped
		finding.Why = "if your boot loader always passes rw, the system is never sealed: remove that word from its configuration"
	default:
		return []Finding{{Severity: OK, Check: "seal", What: "sealing at boot is enabled", Why: "the system is locked after each restart"}}
	}
	return []Finding{finding}
}

func checkPkexec(f Facts) []Finding {
	finding := Finding{Severity: Problem, Check: "pkexec", Why: "without it only root can lock or unlock"}
	switch {
	case !f.Pkexec.Installed:
		finding.What = f.Pkexec.File + " is not installed"
		finding.Mend = f.install(distribution.Pkexec)
	case !f.Pkexec.Setuid:
		finding.What = f.Pkexec.File + " does not run as root: it does not belong to root, or has no setuid bit"
		finding.Mend = []string{"chown root: " + quote(f.Pkexec.File), "chmod 4755 " + quote(f.Pkexec.File)}
	default:
		return []Finding{{Severity: OK, Check: "pkexec", What: "pkexec is installed", Why: "it asks for the password"}}
	}
	return []Finding{finding}
}

func checkAgent(f Facts) []Finding {
	switch {
	case !f.Session.Bus:
		return nil // it stands in Unseen
	case f.Session.Agent != "":
		return []Finding{{Severity: OK, Check: "polkit-agent", What: "the polkit agent " + f.Session.Agent + " is running", Why: "it shows the prompt for the password"}}
	}
	return []Finding{{
		Severity: Warning, Check: "polkit-agent",
		What: "no known polkit agent is running",
		Why:  "without one nothing asks for the password, and unlocking fails",
		Mend: f.install(distribution.Agent),
	}}
}

func checkTray(f Facts) []Finding {
	switch {
	case !f.Session.Bus:
		return nil // it stands in Unseen
	case f.Session.Tray:
		return []Finding{{Severity: OK, Check: "tray", What: "the desktop has a tray", Why: "it shows the padlock"}}
	}
	finding := Finding{
		Severity: Warning, Check: "tray",
		What: "the desktop has no tray for StatusNotifier items",
		Why:  "there is no padlock, but there are reminders",
	}
	if strings.Contains(f.Session.Desktop, "GNOME") {
		finding.Mend = f.install(distribution.AppIndicator)
	}
	return []Finding{finding}
}

// install returns the command that installs a package here, nothing where it is not known.
func (f Facts) install(p distribution.Package) []string {
	if command := f.Distribution.Install(p); command != "" {
		return []string{command}
	}
	return nil
}

// atLeast compares the first two numbers of a version. What is no version is old.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(strings.TrimSpace(version), "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}
