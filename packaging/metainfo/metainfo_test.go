// Package metainfo describes Immutray to software centres. It has no code, only a test
// of the file.
package metainfo

import (
	"encoding/xml"
	"os"
	"os/exec"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

const file = "org.immutray.Immutray.metainfo.xml"

func TestIsValid(t *testing.T) {
	lab.Require(t, "appstreamcli:appstream")
	if out, err := exec.Command("appstreamcli", "validate", "--no-net", "--no-color", file).CombinedOutput(); err != nil {
		t.Errorf("appstreamcli: %v\n%s", err, out)
	}
}

func TestNamesWhatIsInstalled(t *testing.T) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		ID       string   `xml:"id"`
		Icon     string   `xml:"icon"`
		Entry    string   `xml:"launchable"`
		Programs []string `xml:"provides>binary"`
	}
	if err := xml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if c.ID+".metainfo.xml" != file {
		t.Errorf("the id is %s, the file %s", c.ID, file)
	}
	names := []string{"../desktop/" + c.Entry, "../../icons/svg/64/" + c.Icon + ".svg"}
	for _, program := range c.Programs {
		names = append(names, "../../cmd/"+program)
	}
	for _, name := range names {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
