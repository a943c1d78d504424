#!/bin/bash
# The guest's disk: image.sh TARFILE DESK DIRECTORY [REPOSITORY] makes in DIRECTORY
# disk.img, a btrfs with the subvolumes of the classic layout, vmlinux or vmlinuz and initrd.img to
# boot it with, and key and key.pub to log in with. DESK is what the person at the desk has
# set up, REPOSITORY has packages to install. It runs in a mount namespace of its own (see
# script in image.go), so that its loop device and mounts are gone with it, even when it is
# killed.
set -euo pipefail
tar=$1 desk=$2 dir=$3 repository=$4

ssh-keygen -q -t ed25519 -N '' -C immutray-machine -f "$dir/key"
truncate --size 8G "$dir/disk.img"
mkfs.btrfs --quiet --label immutray "$dir/disk.img"
top=$dir/top
mkdir "$top"
mount -t btrfs -o loop,noatime "$dir/disk.img" "$top"

# As in the classic layout, /etc and the islands are nested in the root's own subvolume. So
# whoever mounts only that one, like the initramfs and PID 1 before it has read fstab,
# finds the real /etc in its place, not an empty directory below it. What fstab adds is
# that each is a mount of its own, which can be read-only or writable by itself.
root=$top/ROOTVOL
islands=(home/rrs home/ann root var/lib var/log var/cache var/spool var/tmp var/backups var/mail media srv swap disk-tmp)
btrfs --quiet subvolume create "$root"
mkdir "$root/home" "$root/var"
for name in etc "${islands[@]}"; do
	btrfs --quiet subvolume create "$root/$name"
done
tar --extract --file "$tar" --directory "$root" --numeric-owner --xattrs --xattrs-include='*' --acls

# Not compressed: what the guest reads it would have to unpack, on a slow machine.
disk=UUID=$(blkid --probe --match-tag UUID --output value "$dir/disk.img")
{
	echo "$disk / btrfs subvol=/ROOTVOL,noatime 0 0"
	for name in etc "${islands[@]}"; do
		echo "$disk /$name btrfs subvol=/ROOTVOL/$name,noatime 0 0"
	done
	# As Debian 13 does by itself.
	echo "tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0"
} >"$root/etc/fstab"

write() { # write FILE MODE: a file of the guest, from standard input
	install -D -m "$2" /dev/stdin "$root$1"
}

# Without a machine ID PID 1 takes every boot for the first one, and writes to /etc.
tr -d - </proc/sys/kernel/random/uuid | write /etc/machine-id 444
echo immutray-machine | write /etc/hostname 644
write /etc/hosts 644 <<-'TEXT'
	127.0.0.1 localhost immutray-machine
TEXT
write /etc/systemd/network/guest.network 644 <<-'TEXT'
	[Match]
	Type=ether
	[Network]
	Address=10.0.2.15/24
	LinkLocalAddressing=no
	IPv6AcceptRA=no
TEXT
# NetworkManager runs, as on any desktop, and can be asked for new connections. But the
# one that the tests come in by is not its: it is there early, and stays when
# NetworkManager is restarted.
write /etc/NetworkManager/conf.d/guest.conf 644 <<-'TEXT'
	[keyfile]
	unmanaged-devices=type:ethernet
TEXT
# The journal has what a test asks for; it must be there also after a power cut.
write /etc/systemd/journald.conf.d/guest.conf 644 <<-'TEXT'
	[Journal]
	Storage=persistent
	SyncIntervalSec=1s
	RateLimitBurst=0
TEXT

# The people: an administrator at the desk, and one who is no administrator.
useradd --root "$root" --no-create-home --shell /bin/bash --uid 1000 --groups sudo rrs
useradd --root "$root" --no-create-home --shell /bin/bash --uid 1001 ann
printf '%s\n' rrs:open-sesame ann:wonderland root:bedrock | chroot "$root" chpasswd
for home in home/rrs home/ann; do
	cp -a "$root/etc/skel/." "$root/$home/"
done
for home in root home/rrs home/ann; do
	install -D -m 600 "$dir/key.pub" "$root/$home/.ssh/authorized_keys"
	chmod 700 "$root/$home/.ssh"
done

write /etc/lightdm/lightdm.conf.d/guest.conf 644 <<-'TEXT'
	[Seat:*]
	autologin-user=rrs
	autologin-user-timeout=0
	user-session=xfce
TEXT
# Without it the X server and the first program of the session load the compiler of OpenGL
# to find out that they will not use it: seconds, for an interpreted processor.
write /etc/X11/xorg.conf.d/20-guest.conf 644 <<-'TEXT'
	Section "Device"
		Identifier "screen"
		Driver "modesetting"
		Option "AccelMethod" "none"
	EndSection
	Section "Module"
		Disable "glx"
	EndSection
TEXT
# The desk of the practice system, with icons for the password prompt. Without the name
# of a theme the panel has no dark variant, and writes dark on dark.
cat >"$desk/.config/xfce4/xfconf/xfce-perchannel-xml/xsettings.xml" <<-'TEXT'
	<?xml version="1.0" encoding="UTF-8"?>
	<channel name="xsettings" version="1.0">
	  <property name="Net" type="empty">
	    <property name="ThemeName" type="string" value="Adwaita"/>
	    <property name="IconThemeName" type="string" value="elementary-xfce"/>
	  </property>
	</channel>
TEXT
for home in home/rrs home/ann; do
	cp -r "$desk/." "$root/$home/"
done
# lightdm's autologin fails without a word in a home that is not the user's.
chown -R 1000:1000 "$root/home/rrs"
chown -R 1001:1001 "$root/home/ann"

if [[ -n $repository ]]; then
	cp -r "$repository" "$root/var/cache/repository"
fi

# Else the first boot rebuilds caches, and the next one does not.
touch "$root/etc/.updated" "$root/var/.updated"
systemctl --quiet --root "$root" enable systemd-networkd.service ssh.service lightdm.service
systemctl --quiet --root "$root" set-default graphical.target
# What only takes time. Nothing else: what a stock desktop does by itself, at night or in
# the background, has to work on a locked one as well.
systemctl --quiet --root "$root" mask systemd-networkd-wait-online.service systemd-binfmt.service systemd-pstore.service \
	proc-sys-fs-binfmt_misc.automount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
	sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount kmod-static-nodes.service \
	modprobe@configfs.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@drm.service user@0.service
# Each is a program that PID 1 waits for, twice in every boot, and after every reload.
mkdir -p "$root/etc/systemd/system-generators"
for what in getty gpt-auto hibernate-resume rc-local run ssh sysv tpm2; do
	ln -s /dev/null "$root/etc/systemd/system-generators/systemd-$what-generator"
done

# unpack VMLINUZ: the kernel in it, by the header of x86's boot protocol
# (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). After
# the packed kernel come four bytes with its size.
unpack() {
	local sectors offset length
	sectors=$(od -A n --skip-bytes 0x1f1 --read-bytes 1 --format u1 "$1")
	read -r offset length < <(od -A n --endian=little --skip-bytes 0x248 --read-bytes 8 --format u4 "$1")
	dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip=$(((sectors + 1) * 512 + offset)) count=$((length - 4)) status=none |
		zstd --decompress --quiet
}

# The machine boots often: an initramfs with only what it needs, with modules that need
# no unpacking, and without udev, which would look at every device once more, is through
# in half the time.
find "$root/usr/lib/modules" -name '*.ko.xz' -exec xz --decompress {} +
chroot "$root" depmod "$(ls "$root/usr/lib/modules")"
write /etc/initramfs-tools/conf.d/guest 644 <<-'TEXT'
	MODULES=list
	COMPRESS=gzip
TEXT
printf '%s\n' virtio_pci virtio_blk btrfs >>"$root/etc/initramfs-tools/modules"
parts=$root/usr/share/initramfs-tools
udev=(hooks/udev scripts/init-top/udev scripts/init-bottom/udev)
tar --create --file "$dir/udev.tar" --directory "$parts" --remove-files "${udev[@]}"
chroot "$root" update-initramfs -u -k all
tar --extract --file "$dir/udev.tar" --directory "$parts"

# Unpacked here, once, and not in every boot. QEMU starts a kernel that is unpacked by
# its PVH entry, without the firmware.
cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
unpack "$dir/vmlinuz" >"$dir/vmlinux"
zcat "$root"/boot/initrd.img-* >"$dir/initrd.img"
umount "$top"
rmdir "$top"
