#!/bin/bash
# The packages of the guest: rootfs.sh SUITE FILE makes a tar file with a Debian in it.
# Everything that the guest has from the network it has from here. The slow half of the
# recipe: it takes minutes, and is made again only when this file changes.
set -euo pipefail
suite=$1 file=$2

packages=(
	linux-image-amd64 initramfs-tools btrfs-progs systemd-sysv udev kmod
	mount dbus dbus-user-session libpam-systemd polkitd pkexec sudo openssh-server
	iproute2 procps ca-certificates
	# The desktop, as a person with the classic layout has it, without what it can do without.
	lightdm lightdm-gtk-greeter xserver-xorg-core xserver-xorg-input-libinput xserver-xorg-legacy
	xauth x11-xserver-utils xfce4-panel xfwm4 xfce4-session xfce4-settings xfce4-notifyd
	mate-polkit elementary-xfce-icon-theme adwaita-icon-theme hicolor-icon-theme librsvg2-common
	fonts-dejavu-core
	# What works in the background of a stock desktop, and writes.
	network-manager packagekit packagekit-tools udisks2 upower systemd-timesyncd
	cron logrotate man-db e2fsprogs
	# For looking at it and typing into it, and for stopping a program at a system call.
	x11-utils xdotool strace
)

include=$(
	IFS=,
	echo "${packages[*]}"
)
# The dates of the archive are not compared with this machine's clock: a mirror may be
# a snapshot. The signatures are checked. Security updates are left out: the guest has
# no network, and what is tested does not depend on them.
mmdebstrap --mode=root --variant=apt --include="$include" \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--aptopt='Acquire::Check-Date "false"' \
	--aptopt='Acquire::Languages "none"' \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"$suite" "$file" "deb ${IMMUTRAY_MIRROR:-http://deb.debian.org/debian} $suite main"
