#!/bin/bash
# Packages for the guest to install: repository.sh SUITE TARFILE DIRECTORY makes in
# DIRECTORY a repository of what the system in TARFILE lacks for them.
set -euo pipefail
suite=$1 tar=$2 dir=$3

# Each does something else with the system: a service, a user account, a kernel, and
# files for D-Bus and for polkit.
packages=(at uuid-runtime linux-image-cloud-amd64 avahi-daemon rtkit)

own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
mkdir -p "$own"/{lists/partial,archives/partial}
tar --extract --to-stdout --file "$tar" ./var/lib/dpkg/status >"$own/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] ${IMMUTRAY_MIRROR:-http://deb.debian.org/debian} $suite main" >"$own/sources.list"
# As rootfs.sh does it: no dates, no recommended packages.
cat >"$own/apt.conf" <<TEXT
Dir::State "$own";
Dir::State::status "$own/status";
Dir::Cache "$own";
Dir::Etc::SourceList "$own/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "amd64";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Languages "none";
TEXT
export APT_CONFIG=$own/apt.conf
apt-get --quiet update
apt-get --quiet --yes --download-only install "${packages[@]}"

# Not compressed, and of the kernel's modules only those that the guest boots with: depmod
# unpacks every one of them, for minutes on the slow machine.
unused=(-name '*.ko*' -not -path '*/kernel/fs/btrfs/*' -not -path '*/kernel/lib/*' -not -path '*/kernel/crypto/*'
	-not -path '*/kernel/arch/*' -not -path '*/kernel/block/*' -not -path '*/virtio/*' -not -name 'virtio*')
for deb in "$own"/archives/*.deb; do
	dpkg-deb --raw-extract "$deb" "$own/package"
	find "$own/package" "${unused[@]}" -delete
	find "$own/package" -name '*.ko.xz' -exec xz --decompress {} +
	dpkg-deb -Znone --build "$own/package" "$dir/$(basename "$deb")" >/dev/null
	rm -rf "$own/package"
done
cd "$dir"
for deb in *.deb; do
	dpkg-deb --field "$deb"
	echo "Filename: ./$deb"
	echo "Size: $(stat --format=%s "$deb")"
	echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"
	echo
done >Packages
