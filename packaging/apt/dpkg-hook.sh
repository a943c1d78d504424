#!/bin/sh
# dpkg runs this before it changes packages (see dpkg.cfg). In a locked system it would
# fail half way: its database below /var/lib stays writable, so that the package counts
# as half installed, and apt refuses all else until that one is installed again. Here
# nothing has been changed yet.
set -e

# dpkg --root changes another system.
if [ -n "${DPKG_ROOT:-}" ]; then
	exit 0
fi

# On a path that can't be written to, test -w is false for root too. Below "immutectl run"
# it can be, and the test is true: the mounts are those of the command.
for dir in /usr /etc; do
	if [ -d "$dir" ] && [ ! -w "$dir" ]; then
		echo "cannot change packages: $dir is read-only" >&2
		echo 'hint: unlock the operating system first, with "immutectl unlock", or use "sudo immutectl run -- COMMAND"' >&2
		exit 1
	fi
done
