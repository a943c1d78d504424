#!/bin/sh
# dpkg runs this before it changes packages (see dpkg.cfg). In a locked system it would
# fail half way: its database below /var/lib stays writable, so the package would count
# as half installed, and apt would refuse everything else until it is installed again.
# Nothing has been changed when this script runs.
set -e

# dpkg --root changes another system.
if [ -n "${DPKG_ROOT:-}" ]; then
	exit 0
fi

# On a read-only mount, test -w is false for root too. A command of "immutectl run" has
# writable mounts of its own, and there the test is true.
for dir in /usr /etc; do
	if [ -d "$dir" ] && [ ! -w "$dir" ]; then
		echo "cannot change packages: $dir is read-only" >&2
		echo 'hint: unlock the operating system with "immutectl unlock", or run "sudo immutectl run -- COMMAND"' >&2
		exit 1
	fi
done
