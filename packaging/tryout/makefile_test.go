package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
)

// installed is what "make install" puts where.
func installed() []string {
	files := []string{
		"etc/xdg/autostart/immutray.desktop",
		"usr/bin/immutectl",
		"usr/bin/immutray",
		"usr/lib/systemd/system/immutability-.service.d/10-common.conf",
		"usr/lib/systemd/system/immutability-seal.service",
		"usr/lib/systemd/system/immutability-unseal.service",
		"usr/lib/systemd/system/immutray-.service.d/10-common.conf",
		"usr/lib/systemd/system/immutray-came-up.service",
		"usr/lib/systemd/system/immutray-inhibit.service",
		"usr/lib/systemd/system/immutray-logout.path",
		"usr/lib/systemd/system/immutray-logout.service",
		"usr/lib/systemd/system/immutray-metrics.service",
		"usr/lib/systemd/system/immutray-metrics.timer",
		"usr/lib/systemd/system/immutray-reclaim@.service",
		"usr/lib/systemd/system/immutray-relock@.service",
		"usr/lib/systemd/system/immutray-sleep.service",
		"usr/lib/systemd/system/system-update.target.wants/immutability-unseal.service",
		"usr/libexec/immutray/immutray-helper",
		"usr/share/applications/immutray.desktop",
		"usr/share/bash-completion/completions/immutectl",
		"usr/share/doc/immutray/examples/config.toml",
		"usr/share/fish/vendor_completions.d/immutectl.fish",
		"usr/share/man/man1/immutectl.1",
		"usr/share/man/man1/immutray.1",
		"usr/share/man/man8/immutray-helper.8",
		"usr/share/metainfo/org.immutray.Immutray.metainfo.xml",
		"usr/share/polkit-1/actions/org.immutray.policy",
		"usr/share/zsh/vendor-completions/_immutectl",
	}
	for _, verb := range helper.Verbs() {
		if !verb.AtBoot() { // those have other names
			files = append(files, "usr/lib/systemd/system/immutray-"+string(verb)+".service")
		}
	}
	for _, size := range []string{"16x16", "22x22", "24x24", "32x32", "48x48", "64x64", "scalable"} {
		extension := ".png"
		if size == "scalable" {
			extension = ".svg"
		}
		dir := "usr/share/icons/hicolor/" + size
		files = append(files, dir+"/apps/immutray"+extension)
		for _, state := range []string{"locked", "partly-locked", "unknown", "unlocked", "working"} {
			files = append(files, dir+"/status/immutray-"+state+extension)
			if slices.Contains([]string{"22x22", "24x24", "scalable"}, size) {
				files = append(files, dir+"/status/immutray-"+state+"-symbolic.svg")
			}
		}
	}
	slices.Sort(files)
	return files
}

// files lists what is below dir, with its permissions.
func files(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		found[strings.TrimPrefix(path, dir+"/")] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInstallAndUninstall(t *testing.T) {
	build, dest := buildDir(t), t.TempDir()
	runMake(t, build, "install", "DESTDIR="+dest)
	found := files(t, dest)
	want := installed()
	for _, name := range want {
		mode, ok := found[name]
		delete(found, name)
		wantMode := fs.FileMode(0o644)
		if strings.Contains(name, "/bin/") || strings.Contains(name, "/libexec/") {
			wantMode = 0o755
		}
		if strings.Contains(name, ".wants/") {
			wantMode = fs.ModeSymlink | 0o777
			if _, err := os.Stat(filepath.Join(dest, name)); err != nil {
				t.Errorf("%s leads nowhere: %v", name, err)
			}
		}
		if !ok {
			t.Errorf("%s is not installed", name)
		} else if mode != wantMode {
			t.Errorf("%s has mode %v, want %v", name, mode, wantMode)
		}
	}
	for name := range found {
		t.Errorf("%s is installed, and should not be", name)
	}

	other := filepath.Join(dest, "usr/bin/other")
	if err := os.WriteFile(other, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	runMake(t, build, "uninstall", "DESTDIR="+dest)
	for name := range files(t, dest) {
		if name != "usr/bin/other" {
			t.Errorf("%s is left after uninstall", name)
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("uninstall removed what it had not installed: %v", err)
	}
	for _, dir := range []string{"usr/lib/systemd/system/immutray-.service.d", "usr/lib/systemd/system/immutability-.service.d", "usr/lib/systemd/system/system-update.target.wants", "usr/libexec/immutray", "usr/share/doc/immutray"} {
		if _, err := os.Stat(filepath.Join(dest, dir)); err == nil {
			t.Errorf("%s is left after uninstall", dir)
		}
	}
}

func TestInstallWithoutBuildSaysSo(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("make", "--no-print-directory", "-C", tree, "BUILD="+dir, "install", "DESTDIR="+filepath.Join(dir, "dest"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), `run "make build" first`) {
		t.Errorf("make install without a build: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "dest")); err == nil {
		t.Error("something was installed")
	}
}

// The helper must be installed under the path that the programs, the units and the polkit
// actions use: pkexec compares it as text.
func TestPrefixDoesNotMoveTheHelper(t *testing.T) {
	build, dest := buildDir(t), t.TempDir()
	runMake(t, build, "install", "DESTDIR="+dest, "PREFIX=/usr/local")
	for _, name := range []string{
		"usr/libexec/immutray/immutray-helper", "usr/share/polkit-1/actions/org.immutray.policy",
		"usr/local/bin/immutray", "usr/local/share/applications/immutray.desktop",
		"usr/local/share/zsh/site-functions/_immutectl",
	} {
		if _, err := os.Stat(filepath.Join(dest, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestProgramsNeedNoLibrary(t *testing.T) {
	for _, name := range []string{"immutray", "immutectl", "immutray-helper"} {
		program := filepath.Join(buildDir(t), "bin", name)
		// ldd(1) fails for what needs nothing.
		if out, err := exec.Command("ldd", program).CombinedOutput(); err == nil {
			t.Errorf("%s is linked with\n%s", name, out)
		}
	}
}
