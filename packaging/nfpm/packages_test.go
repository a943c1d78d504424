// Package nfpm holds what "make packages" needs besides nfpm.yaml. It has no Go code,
// only tests: of the packages, built here once for this machine's architecture.
package nfpm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// tree is the module's directory, where the Makefile is.
const tree = "../.."

var built struct {
	once  sync.Once
	build string // the build directory
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.build)
	os.Exit(code)
}

// buildDir returns a build directory with the packages in it.
func buildDir(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.build, built.err = os.MkdirTemp("", "packages"); built.err == nil {
			built.err = runMake(built.build, "packages", "PACKAGE_ARCHES="+runtime.GOARCH, "VERSION=v1.2.3-rc.1-4-gabcdef0")
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.build
}

func runMake(build string, args ...string) error {
	cmd := exec.Command("make", append([]string{"--no-print-directory", "-C", tree, "BUILD=" + build}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// packageFile returns the one package whose name ends so.
func packageFile(t *testing.T, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(buildDir(t), "packages", "*"+suffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("the packages *%s: %v, %v", suffix, found, err)
	}
	return found[0]
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// installed is what "make install" puts where, as "MODE OWNER PATH"; manual pages are
// compressed.
func installed(t *testing.T) []string {
	t.Helper()
	dest := t.TempDir()
	// What was built for the packages serves for this.
	stage := filepath.Join(buildDir(t), "stage", runtime.GOARCH)
	if err := runMake(stage, "install", "DESTDIR="+dest); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, line := range strings.Split(strings.TrimSpace(output(t, "find", dest, "-not", "-type", "d", "-printf", "%M root/root %P\n")), "\n") {
		if strings.Contains(line, "/man/") {
			line += ".gz"
		}
		files = append(files, line)
	}
	return files
}

// listed turns a listing like that of ls -l into lines like those of [installed], and
// leaves directories out. The owner is in the given columns.
func listed(listing string, owner ...int) []string {
	var files []string
	for _, line := range strings.Split(strings.TrimSpace(listing), "\n") {
		fields := strings.Fields(line)
		if fields[0][0] == 'd' {
			continue
		}
		var who []string
		for _, i := range owner {
			if fields[i] == "0" {
				fields[i] = "root"
			}
			who = append(who, fields[i])
		}
		if fields[0][0] == 'l' {
			fields[0] = "lrwxrwxrwx" // whatever it says: a link has no mode (symlink(7))
			fields = fields[:slices.Index(fields, "->")]
		}
		path := strings.TrimPrefix(strings.TrimPrefix(fields[len(fields)-1], "."), "/")
		files = append(files, fields[0]+" "+strings.Join(who, "/")+" "+path)
	}
	return files
}

func TestPackagesHoldWhatMakeInstalls(t *testing.T) {
	lab.Require(t, "dpkg-deb:dpkg", "bsdtar:libarchive-tools")
	for _, tc := range []struct {
		suffix string
		list   func(file string) []string
		more   []string
	}{
		{".deb", func(file string) []string { return listed(output(t, "dpkg-deb", "--contents", file), 1) }, []string{
			"usr/share/doc/immutray/changelog.gz",
			"usr/share/doc/immutray/changelog.Debian.gz",
			"usr/share/doc/immutray/copyright",
			"usr/share/lintian/overrides/immutray",
			"etc/dpkg/dpkg.cfg.d/immutray",
		}},
		{".rpm", func(file string) []string { return listed(output(t, "bsdtar", "-tvf", file), 2, 3) }, []string{
			"usr/share/doc/immutray/changelog.gz",
			"usr/share/licenses/immutray/LICENSE",
			"usr/share/licenses/immutray/copyright",
		}},
		{".pkg.tar.zst", func(file string) []string { return listed(output(t, "bsdtar", "-tvf", file), 2, 3) }, []string{
			"usr/share/doc/immutray/changelog.gz",
			"usr/share/licenses/immutray/LICENSE",
			"usr/share/licenses/immutray/copyright",
			"INSTALL", "MTREE", "PKGINFO", // pacman's own, with a dot in front
		}},
	} {
		t.Run(tc.suffix, func(t *testing.T) {
			want := installed(t)
			if tc.suffix != ".deb" {
				for i, file := range want {
					want[i] = strings.Replace(file, "zsh/vendor-completions", "zsh/site-functions", 1)
				}
			}
			for _, name := range tc.more {
				want = append(want, "-rw-r--r-- root/root "+name)
			}
			if tc.suffix == ".deb" {
				want = append(want, "-rwxr-xr-x root/root usr/libexec/immutray/dpkg-hook")
			}
			got := tc.list(packageFile(t, tc.suffix))
			for _, file := range want {
				if !slices.Contains(got, file) {
					t.Errorf("%s is missing", file)
				}
			}
			for _, file := range got {
				if !slices.Contains(want, file) {
					t.Errorf("%s is in the package, and should not be", file)
				}
			}
		})
	}
}

func TestManualPagesAreCompressedAlikeEverywhere(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(buildDir(t), "stage", runtime.GOARCH, "root/usr/share/man/man*/*.gz"))
	if err != nil || len(pages) != 3 {
		t.Fatalf("manual pages: %v, %v", pages, err)
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		// RFC 1952: no flags, so no name; no time; slowest, so smallest.
		if !bytes.HasPrefix(data, []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2}) {
			t.Errorf("%s begins with % x", page, data[:10])
		}
	}
}

// An upgrade keeps what an administrator has changed in these files, and only in these.
func TestConfigurationFiles(t *testing.T) {
	lab.Require(t, "dpkg-deb:dpkg")
	conffiles := strings.Fields(output(t, "dpkg-deb", "--info", packageFile(t, ".deb"), "conffiles"))
	slices.Sort(conffiles)
	if want := []string{"/etc/dpkg/dpkg.cfg.d/immutray", "/etc/xdg/autostart/immutray.desktop"}; !slices.Equal(conffiles, want) {
		t.Errorf("the configuration files are %q, want %q", conffiles, want)
	}
}

func TestLintian(t *testing.T) {
	lab.Require(t, "lintian:lintian")
	out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", packageFile(t, ".deb")).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// The licenses ask that binaries come with their texts.
func TestCopyrightNamesEveryModule(t *testing.T) {
	copyright, err := os.ReadFile("copyright")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, line := range strings.Split(string(copyright), "\n") {
		if name, ok := strings.CutPrefix(line, "Files: "); ok && name != "*" {
			named[strings.TrimSuffix(name, "/*")] = false
		}
	}
	programs, err := filepath.Glob(filepath.Join(buildDir(t), "stage", runtime.GOARCH, "bin/*"))
	if err != nil || len(programs) != 3 {
		t.Fatalf("programs: %v, %v", programs, err)
	}
	for _, line := range strings.Split(output(t, "go", append([]string{"version", "-m"}, programs...)...), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "dep" {
			continue
		}
		if _, ok := named[fields[1]]; !ok {
			t.Errorf("%s is linked in, and not in the file copyright", fields[1])
		}
		named[fields[1]] = true
	}
	for name, linked := range named {
		if !linked {
			t.Errorf("the file copyright names %s, which is not linked in", name)
		}
	}
}

func TestVersion(t *testing.T) {
	for description, want := range map[string]string{
		"v1.2.3":                         "1.2.3",
		"1.2.3":                          "1.2.3",
		"v1.2.3-dirty":                   "1.2.3.dirty",
		"v1.3.0-rc.1":                    "1.3.0~rc.1",
		"v1.2.3-4-gabcdef0":              "1.2.3+4.gabcdef0",
		"v1.3.0-beta-2-4-gabcdef0-dirty": "1.3.0~beta.2+4.gabcdef0.dirty",
		"abcdef0":                        "0.0~git20261123.abcdef0",
		"1234567-dirty":                  "0.0~git20261123.1234567.dirty",
		"unknown":                        "0.0~git20261123.unknown",
		"some/tag_of-mine-12-gabcdef0":   "0.0~git20261123.some.tag.of.mine+12.gabcdef0",
	} {
		if got := strings.TrimSpace(output(t, "./version.sh", description, "20261123")); got != want {
			t.Errorf("the version of %s is %s, want %s", description, got, want)
		}
	}
	lab.Require(t, "dpkg:dpkg")
	ordered := []string{"0.0~git20261123.fffffff", "1.3.0~rc.1", "1.3.0~rc.1+4.gabcdef0", "1.3.0", "1.3.0+4.gabcdef0", "1.3.1"}
	for i := range len(ordered) - 1 {
		output(t, "dpkg", "--compare-versions", ordered[i], "lt", ordered[i+1])
	}
}

func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("*.sh")
	if err != nil || len(scripts) != 6 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	for _, script := range scripts {
		if strings.HasPrefix(script, "pre") || strings.HasPrefix(script, "post") {
			output(t, "sh", "-n", script)
		}
	}
	lab.Require(t, "shellcheck:shellcheck")
	output(t, "shellcheck", append(scripts, "../apt/dpkg-hook.sh")...)
}
