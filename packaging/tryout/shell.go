package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/tryout/system"
)

// The shell asks this program, by one word on a line, for what only this program can do, and
// reads the answer.
const (
	questions = system.RunDir + "/question"
	answers   = system.RunDir + "/answer"
)

// shellConfig is what the shell reads first. With options, immutray is the program itself.
const shellConfig = `PS1='practice:\w# '
if [ -r /usr/share/bash-completion/bash_completion ]; then
	. /usr/share/bash-completion/bash_completion
fi
ask() { echo "$1" >` + questions + ` && cat ` + answers + `; }
immutray() { if [ $# = 0 ]; then ask immutray; else command immutray "$@"; fi; }
`

// pictureConfig is for where no one else sees the screen.
const pictureConfig = `picture() { ask picture; }
`

// shell runs root's shell in the practice system until the person leaves it. Its questions
// are answered by answer.
func shell(config string, answer func(question string) string) error {
	rc := filepath.Join(system.RunDir, "bashrc")
	if err := os.WriteFile(rc, []byte(config), 0o644); err != nil {
		return err
	}
	stop, err := answerQuestions(answer)
	if err != nil {
		return err
	}
	defer stop()
	// The interrupt is the shell's business. It is taken note of and not ignored,
	// because what this program ignores, the shell's commands would ignore too.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT)
	cmd := exec.Command("bash", "--rcfile", rc)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Dir = "/root"
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "LANG=C.UTF-8", "TERM=" + os.Getenv("TERM"),
	}
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return nil // that of the last command, which is no one's failure
	}
	return err
}

// answerQuestions answers the shell's questions until stop is called, which returns when the
// last one has been answered.
func answerQuestions(answer func(string) string) (stop func(), err error) {
	for _, path := range []string{questions, answers} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			return nil, fmt.Errorf("cannot make %s: %w", path, err)
		}
	}
	// Open for writing too, or it would end with the first question (fifo(7)).
	asked, err := os.OpenFile(questions, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(asked); lines.Scan(); {
			give(answer(lines.Text()) + "\n")
		}
	}()
	return func() {
		asked.Close()
		<-ended
	}, nil
}

// listens is how long the shell may take to listen for an answer. When a person has
// interrupted it, it never does, and the next question must not get this answer.
const listens = 2 * time.Second

func give(answer string) {
	for deadline := time.Now().Add(listens); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		// Fails as long as no one listens (fifo(7)).
		f, err := os.OpenFile(answers, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		_, _ = f.WriteString(answer) // who has stopped listening needs none
		f.Close()
		return
	}
}
