#!/bin/sh
# Before the files are removed. Where the system is locked, that would fail at the
# first file; so it is refused here, with nothing changed and everything working.
set -e

# An upgrade is refused by the new version. "1" is rpm's word for it.
case "${1:-}" in
upgrade | deconfigure | failed-upgrade | 1) exit 0 ;;
esac

for dir in /usr /etc; do
	if [ -d "$dir" ] && [ ! -w "$dir" ]; then
		echo "cannot remove immutray: $dir is read-only" >&2
		echo 'hint: unlock the operating system first, with "immutectl unlock"' >&2
		exit 1
	fi
done
