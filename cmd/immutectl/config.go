package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/text"
)

func (a *app) configCommand() *cobra.Command {
	var asJSON bool
	var draft string
	cmd := &cobra.Command{
		Use: "config [--json | --check FILE]",

		DisableFlagsInUseLine: true,

		Short: "Show the configuration and where each value comes from",
		Long: `Show every value of the configuration that is in force, and where it comes from: the
default, or a line of ` + config.Path + `.

With --check, read FILE as a configuration and show every mistake in it. Nothing is
changed. FILE need not belong to root, and its paths need not exist.

Exit status:
  0  done; with --check, FILE has no mistakes
  1  FILE could not be read
  2  the command line was not understood
  6  the configuration was refused; with --check, FILE has mistakes`,
		Example: `  immutectl config
  immutectl config --check config.toml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := cmd.Flags().Changed("check")
			switch {
			case checks && asJSON:
				return usageFailure(cmd.CommandPath(), errors.New("--check and --json cannot be used together"))
			case checks:
				return a.checkConfig(draft)
			}
			return a.showConfig(asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&draft, "check", "", "show every mistake in `FILE`")
	cmd.RegisterFlagCompletionFunc("check", completeFiles)
	return cmd
}

// configReport is the JSON of "immutectl config --json".
type configReport struct {
	File string `json:"file"`
	// Error is why the file is refused; "" when it is used, or does not exist.
	Error  string        `json:"error"`
	Values []configValue `json:"values"`
}

type configValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"` // a text, a list of texts, or true or false
	// Origin is default, file, limit (unlock_max is below the default) or fallback (what is
	// used instead of a file that is refused).
	Origin string `json:"origin"`
	// Line is the line of the file, 0 if it does not come from there.
	Line int `json:"line"`
}

func (a *app) showConfig(asJSON bool) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	report, err := a.reportConfig(c)
	switch {
	case err != nil:
		return a.failed(helper.ExitFailed, err)
	case asJSON:
		err = a.printJSON(report, false)
	default:
		err = a.print(configText(report))
	}
	if err == nil && c.Refused != nil {
		a.printNotice(report.Error + helper.UsedInstead)
	}
	return err
}

// reportConfig finds out where each value comes from.
func (a *app) reportConfig(c config.Config) (configReport, error) {
	report := configReport{File: a.configFile, Error: config.Refusal(c.Refused)}
	if report.File == "" {
		report.File = config.Path
	}
	lines := map[string]int{}
	if c.Refused == nil {
		data, err := os.ReadFile(report.File)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return report, err
		}
		if lines, err = config.Lines(bytes.NewReader(data)); err != nil {
			return report, err // it has changed since
		}
	}
	usual := config.Default().Settings()
	for i, s := range c.Settings() {
		v := configValue{Key: s.Key, Value: s.Value, Origin: "default"}
		line, written := lines[s.Key]
		switch {
		case written:
			v.Origin, v.Line = "file", line
		case fmt.Sprint(s.Value) == fmt.Sprint(usual[i].Value):
		case c.Refused != nil:
			v.Origin = "fallback"
		default:
			v.Origin = "limit"
		}
		report.Values = append(report.Values, v)
	}
	return report, nil
}

// configText looks like the file.
func configText(report configReport) string {
	var b strings.Builder
	for _, v := range report.Values {
		fmt.Fprintf(&b, "%s = %s  # %s\n", v.Key, valueText(v.Value), originWords(report.File, v))
	}
	return b.String()
}

// valueText writes a value as the file does.
func valueText(value any) string {
	switch v := value.(type) {
	case []string:
		quoted := make([]string, len(v))
		for i, name := range v {
			quoted[i] = strconv.Quote(name)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string:
		return strconv.Quote(v)
	}
	return fmt.Sprint(value)
}

func originWords(file string, v configValue) string {
	switch {
	case v.Origin == "file" && v.Line > 0:
		return fmt.Sprintf("%s line %d", text.Quote(file), v.Line)
	case v.Origin == "file":
		return text.Quote(file)
	case v.Origin == "limit":
		return "unlock_max"
	case v.Origin == "fallback":
		return "last good configuration"
	}
	return v.Origin
}

// checkConfig shows every mistake in a file.
func (a *app) checkConfig(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return &failure{code: helper.ExitFailed, err: fmt.Errorf("cannot read the configuration: %w", err)}
	}
	defer f.Close()
	mistakes := config.Mistakes(f)
	if len(mistakes) == 0 {
		return a.print(text.Quote(file) + " has no mistakes.\n")
	}
	var detail strings.Builder
	for _, m := range mistakes {
		fmt.Fprintf(&detail, "  %s\n", text.Visible(m.Error()))
	}
	return &failure{
		code:   helper.ExitConfigRefused,
		err:    fmt.Errorf("cannot use %s, because of these mistakes", text.Quote(file)),
		detail: detail.String(),
	}
}
