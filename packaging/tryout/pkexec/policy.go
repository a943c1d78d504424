package pkexec

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// An action is one action of a polkit policy file that pkexec can be asked for.
type action struct {
	ID      string
	Message string
	Icon    string
	Active  string // the answer for the person in front of the machine: yes, auth_admin, …
}

// policyFile is the part of polkit's policyconfig-1 document that matters here.
type policyFile struct {
	Icon    string `xml:"icon_name"`
	Actions []struct {
		ID       string `xml:"id,attr"`
		Icon     string `xml:"icon_name"`
		Messages []struct {
			Lang string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
			Text string `xml:",chardata"`
		} `xml:"message"`
		Active    string `xml:"defaults>allow_active"`
		Annotated []struct {
			Key   string `xml:"key,attr"`
			Value string `xml:",chardata"`
		} `xml:"annotate"`
	} `xml:"action"`
}

// findAction looks through the policy files in dir for the action that is bound to
// the program and its first argument.
func findAction(dir, program, argument string) (*action, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.policy"))
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		found, err := findInFile(path, program, argument)
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

func findInFile(path, program, argument string) (*action, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := parsePolicy(f, program, argument)
	if err != nil {
		return nil, fmt.Errorf("cannot read the policy %s: %w", path, err)
	}
	return found, nil
}

func parsePolicy(r io.Reader, program, argument string) (*action, error) {
	var file policyFile
	if err := xml.NewDecoder(r).Decode(&file); err != nil {
		return nil, err
	}
	const prefix = "org.freedesktop.policykit.exec."
	for _, a := range file.Actions {
		annotations := map[string]string{}
		for _, annotation := range a.Annotated {
			annotations[annotation.Key] = annotation.Value
		}
		if annotations[prefix+"path"] != program || annotations[prefix+"argv1"] != argument {
			continue
		}
		found := &action{ID: a.ID, Icon: a.Icon, Active: a.Active}
		if found.Icon == "" {
			found.Icon = file.Icon
		}
		for _, m := range a.Messages {
			if m.Lang == "" {
				found.Message = m.Text
			}
		}
		return found, nil
	}
	return nil, nil
}
