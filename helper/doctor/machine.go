package doctor

import "strings"

const (
	sealUnit   = "immutability-seal.service"
	unsealUnit = "immutability-unseal.service"
)

func checkKernel(f Facts) []Finding {
	// mount_setattr(2) is what the lock is made of.
	if atLeast(f.Kernel, 5, 12) {
		return []Finding{{Severity: OK, Check: "kernel", What: "Linux " + f.Kernel + " is new enough", Why: "the lock needs 5.12"}}
	}
	return []Finding{{
		Severity: Problem, Check: "kernel",
		What: "Linux " + f.Kernel + " is too old",
		Why:  "the lock needs 5.12 or newer, which Debian has since 12",
	}}
}

func checkSeal(f Facts) []Finding {
	finding := Finding{Severity: Warning, Check: "seal"}
	const why = "the system stays as it was before a restart, also unlocked"
	switch {
	case f.Seal.Override != "":
		finding.What = f.Seal.Override + " takes the place of the seal that comes with Immutray"
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
		finding.Why = "what was shut down locked stays read-only then, as " + unsealUnit + " is not enabled"
		finding.Mend = []string{"systemctl reenable " + sealUnit} // it enables both
	case f.Seal.Skipped != "":
		// Not only for this once: a boot loader can be set up to say rw always.
		finding.What = "sealing at boot is enabled, but this boot was not sealed: " + f.Seal.Skipped
		finding.Why = "if the boot loader always says so, no boot locks the system: take the word out of its configuration"
	default:
		return []Finding{{Severity: OK, Check: "seal", What: "sealing at boot is enabled", Why: "the system is locked after each restart"}}
	}
	return []Finding{finding}
}

func checkPkexec(f Facts) []Finding {
	finding := Finding{Severity: Problem, Check: "pkexec", Why: "without it nobody but root can lock or unlock"}
	switch {
	case !f.Pkexec.Installed:
		finding.What = f.Pkexec.File + " is not installed"
		finding.Mend = []string{"apt install pkexec"}
	case !f.Pkexec.Setuid:
		finding.What = f.Pkexec.File + " does not run as root: it is not root's, or has no setuid bit"
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
		What: "no polkit agent that is known here is running",
		Why:  "without one there is no prompt for the password, and unlocking fails",
		Mend: []string{"apt install mate-polkit"},
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
		Why:  "the padlock does not show; the reminders do",
	}
	if strings.Contains(f.Session.Desktop, "GNOME") {
		finding.Mend = []string{"apt install gnome-shell-extension-appindicator"}
	}
	return []Finding{finding}
}
