package helper_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "immutray.org/"

// imports are the packages that each of ours imports, and those of its dependencies. What
// only its tests import is not among them.
type imports map[string][]string

func readImports(t *testing.T) imports {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := imports{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all
}

// linked returns a package and all that it links, each with the chain of imports that leads
// to it.
func (all imports) linked(program string) map[string]string {
	chains := map[string]string{program: program}
	for next := []string{program}; len(next) > 0; next = next[1:] {
		for _, imported := range all[next[0]] {
			if chains[imported] == "" {
				chains[imported] = chains[next[0]] + " → " + imported
				next = append(next, imported)
			}
		}
	}
	return chains
}

func isIn(pkg string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return pkg == module+tree || strings.HasPrefix(pkg, module+tree+"/")
	})
}

// Root's program contains none of our code that starts programs, nor any that is a user's.
func TestLinkedIntoTheHelper(t *testing.T) {
	all := readImports(t)
	for pkg, chain := range all.linked(module + "cmd/immutray-helper") {
		if !strings.HasPrefix(pkg, module) {
			continue
		}
		if slices.Contains(all[pkg], "os/exec") {
			t.Errorf("the helper links a package that imports os/exec: %s", chain)
		}
		if isIn(pkg, "helper/client", "tray", "notify", "icons") || isIn(pkg, "cmd") && pkg != module+"cmd/immutray-helper" {
			t.Errorf("the helper links the code of a user's program: %s", chain)
		}
	}
}

// What changes the system is root's: the programs of users only ask for it.
func TestLinkedIntoThePrograms(t *testing.T) {
	all := readImports(t)
	for _, program := range []string{"cmd/immutectl", "cmd/immutray"} {
		for pkg, chain := range all.linked(module + program) {
			if isIn(pkg, "helper/engine", "helper/server", "helper/detach", "helper/run/guardian") {
				t.Errorf("%s links root's code: %s", program, chain)
			}
		}
	}
	for pkg, chain := range all.linked(module + "cmd/immutray") {
		if isIn(pkg, "helper/doctor", "helper/run") && !isIn(pkg, "helper/run/records") {
			t.Errorf("the applet links the code of immutectl: %s", chain)
		}
	}
}

// Test machinery is imported by tests. Everything depends on the contract, and the contract,
// like the helper, on nothing of the applet's.
func TestImports(t *testing.T) {
	for pkg, imported := range readImports(t) {
		for _, other := range imported {
			switch {
			case pkg == module+"helper" && isIn(other, "helper"):
				t.Errorf("the contract imports %s; it imports nothing of ours", other)
			case isIn(other, "packaging") && isIn(pkg, "cmd", "tray", "notify", "icons", "helper"):
				t.Errorf("%s imports %s, which is for tests", pkg, other)
			case isIn(other, "tray", "notify", "icons", "cmd") && isIn(pkg, "helper"):
				t.Errorf("%s imports %s, which is above it", pkg, other)
			case pkg == module+"helper" && strings.HasPrefix(other, module):
				t.Errorf("the contract imports %s", other)
			case isIn(other, "helper/engine") && !isIn(pkg, "helper/server", "helper/run/guardian"):
				t.Errorf("%s imports the engine, which the server and the guardian call", pkg)
			case isIn(other, "helper") && isIn(pkg, "notify") && other != module+"helper" && !isIn(other, "helper/client", "helper/text", "helper/boottime"):
				t.Errorf("%s imports %s; of the helper it needs the contract and the words alone", pkg, other)
			case other == "unsafe" && isIn(pkg, "cmd", "tray", "notify", "icons", "helper") && pkg != module+"helper/kernel":
				t.Errorf("%s imports unsafe, which helper/kernel alone may", pkg)
			}
			for library, only := range map[string]string{
				"fyne.io/systray":               "tray",
				"github.com/gen2brain/beeep":    "notify",
				"github.com/spf13/cobra":        "cmd/immutectl",
				"github.com/coreos/go-systemd/": "helper/systemd",
			} {
				if strings.HasPrefix(other, library) && strings.HasPrefix(pkg, module) && !isIn(pkg, only, "packaging") {
					t.Errorf("%s imports %s, which %s alone may", pkg, other, only)
				}
			}
		}
	}
}
