package man

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every field and every message id that the helper writes is in its manual.
func TestFieldsOfTheJournal(t *testing.T) {
	manual := text(t, "immutray-helper.8")
	named := regexp.MustCompile(`"(IMMUTRAY_[A-Z_]+|[0-9a-f]{32})"`)
	count := 0
	for _, file := range []string{"../../helper/journal/fields.go", "../../helper/server/records.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(source), -1) {
			count++
			if !strings.Contains(manual, m[1]) {
				t.Errorf("the manual lacks %s of %s", m[1], file)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d fields and ids were found", count)
	}
}
