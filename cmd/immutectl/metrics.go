package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/statefile"
	"immutray.org/helper/wholefile"
)

// metrics returns the status in Prometheus' text format, version 0.0.4. The names stay,
// because alerts depend on them. What can't be read counts as not locked; a layer, a time
// or a seal that is not known is left out.
func metrics(s helper.Status, seal *statefile.Seal, now time.Time) string {
	var m exposition
	m.family("immutray_info", "Which version of Immutray this is.")
	m.sample(1, "version", helper.Version())

	m.family("immutray_locked", "Whether every protected path is read-only.")
	m.sample(number(s.State == helper.Locked))
	m.family("immutray_partly_locked", "Whether the system is neither locked nor unlocked.")
	m.sample(number(s.State == helper.PartlyLocked))
	m.family("immutray_state", "1 for the current state of the system, 0 for the others.")
	for _, state := range []helper.State{helper.Locked, helper.PartlyLocked, helper.Unlocked, helper.Unknown} {
		m.sample(number(s.State == state), "state", string(state))
	}
	m.window(s, now)
	m.family("immutray_running_commands", "How many commands of \"immutectl run\" can write.")
	m.sample(float64(len(s.Runs)))
	m.family("immutray_config_accepted", "Whether the configuration is used; if not, the last good one is, or else the default.")
	m.sample(number(s.ConfigError == ""))
	m.paths(s)
	if seal != nil {
		m.family("immutray_seal_success", "Whether the last seal of this boot locked the system.")
		m.sample(number(seal.Outcome == helper.Done))
		m.family("immutray_seal_timestamp_seconds", "When the last seal of this boot ended.")
		m.sample(unixSeconds(seal.Finished))
	}
	return m.text.String()
}

// An exposition is the text of metrics, all of them gauges.
type exposition struct {
	text strings.Builder
	name string // of the family that is being written
}

func (m *exposition) family(name, help string) {
	m.name = name
	fmt.Fprintf(&m.text, "# HELP %s %s\n# TYPE %[1]s gauge\n", name, help)
}

// sample adds a sample to the family; labels are alternately names and values.
func (m *exposition) sample(value float64, labels ...string) {
	m.text.WriteString(m.name)
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, fmt.Sprintf(`%s="%s"`, labels[i], labelValue(labels[i+1])))
	}
	if pairs != nil {
		m.text.WriteString("{" + strings.Join(pairs, ",") + "}")
	}
	m.text.WriteString(" " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

func (m *exposition) window(s helper.Status, now time.Time) {
	if s.Window != nil || s.State == helper.Locked {
		unlocked := 0.0
		if s.Window != nil {
			unlocked = max(0, now.Sub(s.Window.Since).Seconds())
		}
		m.family("immutray_unlocked_seconds", "How long ago the system was unlocked, 0 while it is locked.")
		m.sample(unlocked)
	}
	if s.Window != nil && s.Window.Until != nil {
		m.family("immutray_window_end_timestamp_seconds", "When the system locks again by itself.")
		m.sample(unixSeconds(*s.Window.Until))
	}
}

func (m *exposition) paths(s helper.Status) {
	paths := s.Paths
	if len(paths) == 0 {
		return
	}
	m.family("immutray_path_locked", "Whether the protected path is locked.")
	for _, p := range paths {
		m.sample(number(p.State == helper.Locked || s.Granted(p)), "path", p.Path)
	}
	m.family("immutray_path_read_only", "Whether a layer of the protected path is read-only.")
	for _, p := range paths {
		for _, layer := range []struct {
			name string
			flag helper.Flag
		}{{"property", p.Property}, {"mount", p.Mount}, {"superblock", p.Superblock}} {
			if layer.flag == helper.ReadOnly || layer.flag == helper.Writable {
				m.sample(number(layer.flag == helper.ReadOnly), "path", p.Path, "layer", layer.name)
			}
		}
	}
}

// labelValue escapes what the format gives a meaning. It has to be UTF-8.
func labelValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unixSeconds(t time.Time) float64 { return float64(t.Unix()) }

func lastSeal(c config.Config) *statefile.Seal {
	// A state file that can't be read costs the seal, never the state.
	state, _ := statefile.Read(c.StateDir)
	return state.Seal
}

// exportMetrics prints the text or replaces a file with it: node_exporter may read it at
// any moment.
func (a *app) exportMetrics(text, file string) error {
	if file == "" {
		return a.print(text)
	}
	err := wholefile.Write(file, []byte(text))
	if err == nil {
		return nil
	}
	f := &failure{code: helper.ExitFailed, err: fmt.Errorf("cannot write the metrics: %w", err)}
	switch {
	case errors.Is(err, unix.EROFS):
		f.hints = []string{"Choose a directory that stays writable while the system is locked, such as one in /var/lib."}
	case errors.Is(err, fs.ErrNotExist):
		f.hints = []string{"Make that directory, or choose the one that node_exporter reads."}
	}
	return f
}
