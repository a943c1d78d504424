#!/bin/sh
# Before the files are unpacked: apt would only say "Read-only file system" of one of
# them. On a path that can't be written to, test -w is false for root too.
set -e

for dir in /usr /etc; do
	if [ -d "$dir" ] && [ ! -w "$dir" ]; then
		echo "cannot install immutray: $dir is read-only" >&2
		echo 'hint: unlock the operating system first, with "immutectl unlock"' >&2
		exit 1
	fi
done
