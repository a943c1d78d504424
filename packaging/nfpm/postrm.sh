#!/bin/sh
# After the files are removed.
set -e

# remove and purge are dpkg's words for it, 0 is rpm's; pacman names the version, and
# calls this for no upgrade.
case "${1:-}" in
remove | purge | 0 | *.*-*) ;;
*) exit 0 ;;
esac

# Without its unit the seal can't run. What is left of enabling it goes as well.
rm -f /etc/systemd/system/*.wants/immutability-seal.service \
	/etc/systemd/system/*.requires/immutability-seal.service
# What the helper and the seal have noted tells nobody anything any more. The lock
# itself stays as it is.
rm -rf /run/immutray /run/immutray-seal

if [ "$1" = purge ]; then
	rm -rf /etc/immutray
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
