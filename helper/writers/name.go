package writers

import "regexp"

// interpreters are programs that run a script, by the names of their files: "python3.11".
var interpreters = regexp.MustCompile(`^(python|pypy|perl|ruby|php|lua|luajit|tclsh|wish|guile|node|nodejs|gjs|bash|dash|sh|zsh|ksh|mksh|fish|gawk|mawk)[0-9.]*$`)

// name returns the name of a process for people: that of the file that it executes; of an
// interpreter what the kernel has called the process at its start, which is the name of a script
// that is itself executable, and what was typed, "python3", for another (begin_new_exec in
// fs/exec.c has the name of the file before "#!" was followed).
//
// The process may have changed the latter, but it could as well have been started from a file of
// another name. The name of a script that is an argument is not looked for: the arguments are in
// the memory of the process, which may be on a file system that never answers.
func name(executable, own string) string {
	if executable == "" || own != "" && interpreters.MatchString(executable) {
		return own
	}
	return executable
}
