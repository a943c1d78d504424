#!/bin/sh
# After the files are removed.
set -e

# remove and purge are dpkg's words for it, 0 is rpm's; pacman names the version, and
# calls this for no upgrade.
case "${1:-}" in
remove | purge | 0 | *.*-*) ;;
*) exit 0 ;;
esac

# The links that enable units are useless without the units, so they go as well.
for unit in immutability-seal.service immutability-unseal.service immutray-sleep.service \
	immutray-logout.path immutray-metrics.timer; do
	rm -f /etc/systemd/system/*.wants/$unit /etc/systemd/system/*.requires/$unit
done
# The notes of the helper and of the boot are of no use any more. The lock itself stays as
# it is.
rm -rf /run/immutray /run/immutray-seal /run/immutray-unseal
rm -f /var/lib/immutray/unfinished-boots

if [ "$1" = purge ]; then
	rm -rf /etc/immutray /var/lib/immutray
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# Units that the boot has started would stay active without a file. Not before the
	# reload: as long as the seal can be started, the next service would start it again.
	# The timer for the end of a window has no service to start any more, and
	# immutray-inhibit.service no window to wait for.
	# One by one: systemd 262 stops none of several when one is not loaded.
	for unit in immutability-seal.service immutability-unseal.service \
		immutray-logout.path immutray-metrics.timer immutray-inhibit.service 'immutray-relock@*.timer'; do
		systemctl stop "$unit" 2>/dev/null || true
	done
fi
