#!/bin/sh
# After the files are removed.
set -e

# remove and purge are dpkg's words for it, 0 is rpm's; pacman names the version, and
# calls this for no upgrade.
case "${1:-}" in
remove | purge | 0 | *.*-*) ;;
*) exit 0 ;;
esac

# Without their units neither the seal nor its opposite can run, nor anything else that an
# administrator enabled. What is left of enabling them goes as well.
for unit in immutability-seal.service immutability-unseal.service immutray-sleep.service \
	immutray-logout.path immutray-metrics.timer; do
	rm -f /etc/systemd/system/*.wants/$unit /etc/systemd/system/*.requires/$unit
done
# What the helper and the boot have noted tells nobody anything any more. The lock
# itself stays as it is.
rm -rf /run/immutray /run/immutray-seal /run/immutray-unseal
rm -f /var/lib/immutray/unfinished-boots

if [ "$1" = purge ]; then
	rm -rf /etc/immutray /var/lib/immutray
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# What the boot has started counts as active, and is listed without its file. Not
	# before: stopped while it can be started, the seal would be, with the next service.
	# A timer at the end of a window has nothing to start any more, and what attends to a
	# window nothing to look at.
	# One by one: systemd 262 stops none of several when one is not loaded.
	for unit in immutability-seal.service immutability-unseal.service \
		immutray-logout.path immutray-metrics.timer immutray-inhibit.service 'immutray-relock@*.timer'; do
		systemctl stop "$unit" 2>/dev/null || true
	done
fi
