package machine

import (
	"strings"
	"testing"
)

// islands are the directories of the guest (see image.sh) that must always be writable.
const islands = "/home/rrs /home/ann /var/lib /var/log /var/cache /var/spool /var/tmp"

// writeIslands writes to the islands again and again, and ends with the first error. It
// starts no program for that: under emulation each takes a tenth of a second. Nothing is ever
// written to descriptor 9, so reading from it is a pause.
const writeIslands = `mkfifo /run/island-writer && exec 9<>/run/island-writer
while true; do
	for d in ` + islands + `; do
		echo $RANDOM >$d/.writer || exit 1
	done
	read -r -t 0.5 -u 9
done`

const islandWriter = "island-writer.service"

// startWriter starts writeIslands; expectWriter fails if it has ended.
func startWriter(t *testing.T, v *vm) {
	t.Helper()
	_, err := v.as(root).runWith(strings.NewReader(writeIslands), "cat >/run/write-islands && systemd-run --quiet --unit="+islandWriter+" bash /run/write-islands")
	check(t, err)
}

func expectWriter(t *testing.T, v *vm) {
	t.Helper()
	if got := property(t, v, islandWriter, "ActiveState"); got != "active" {
		journal, _ := v.as(root).run("journalctl --boot --no-pager --unit " + islandWriter)
		t.Errorf("not every island could be written to all the time: %s", journal)
	}
}
