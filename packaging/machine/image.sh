#!/bin/bash
# The guest's disk: image.sh TARFILE DIRECTORY makes in DIRECTORY disk.img, a btrfs with
# the article's subvolumes, vmlinuz and initrd.img to boot it with, and key and key.pub
# to log in with. It runs in a mount namespace of its own (see buildImage), so that its
# loop device and mounts are gone with it, even when it is killed.
set -euo pipefail
tar=$1 dir=$2

ssh-keygen -q -t ed25519 -N '' -C immutray-machine -f "$dir/key"
truncate --size 8G "$dir/disk.img"
mkfs.btrfs --quiet --label immutray "$dir/disk.img"
top=$dir/top
mkdir "$top"
mount -t btrfs -o loop,noatime,compress=zstd:1 "$dir/disk.img" "$top"

# As in the article, /etc and the islands are nested in the root's own subvolume. So
# whoever mounts only that one, like the initramfs and PID 1 before it has read fstab,
# finds the real /etc in its place, not an empty directory below it. What fstab adds is
# that each is a mount of its own, which can be read-only or writable by itself.
root=$top/ROOTVOL
islands=(home/rrs home/ann var/lib var/log var/cache var/spool var/tmp swap disk-tmp)
btrfs --quiet subvolume create "$root"
mkdir "$root/home" "$root/var"
for name in etc "${islands[@]}"; do
	btrfs --quiet subvolume create "$root/$name"
done
tar --extract --file "$tar" --directory "$root" --numeric-owner --xattrs --xattrs-include='*' --acls

disk=UUID=$(blkid --probe --match-tag UUID --output value "$dir/disk.img")
{
	echo "$disk / btrfs subvol=/ROOTVOL,noatime,compress=zstd:1 0 0"
	for name in etc "${islands[@]}"; do
		echo "$disk /$name btrfs subvol=/ROOTVOL/$name,noatime,compress=zstd:1 0 0"
	done
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
# A panel of a known colour and place with nothing but a tray at its right end, the
# same as the practice system's: see desktop.IconPlace.
settings=/home/rrs/.config/xfce4/xfconf/xfce-perchannel-xml
write $settings/xfce4-panel.xml 644 <<-'TEXT'
	<?xml version="1.0" encoding="UTF-8"?>
	<channel name="xfce4-panel" version="1.0">
	  <property name="configver" type="int" value="2"/>
	  <property name="panels" type="array">
	    <value type="int" value="1"/>
	    <property name="dark-mode" type="bool" value="true"/>
	    <property name="panel-1" type="empty">
	      <property name="position" type="string" value="p=6;x=0;y=0"/>
	      <property name="position-locked" type="bool" value="true"/>
	      <property name="length" type="double" value="100"/>
	      <property name="size" type="uint" value="32"/>
	      <property name="icon-size" type="uint" value="22"/>
	      <property name="enter-opacity" type="uint" value="100"/>
	      <property name="leave-opacity" type="uint" value="100"/>
	      <property name="background-style" type="uint" value="1"/>
	      <property name="background-rgba" type="array">
	        <value type="double" value="0.168627"/>
	        <value type="double" value="0.188235"/>
	        <value type="double" value="0.231373"/>
	        <value type="double" value="1"/>
	      </property>
	      <property name="plugin-ids" type="array">
	        <value type="int" value="1"/>
	        <value type="int" value="2"/>
	        <value type="int" value="3"/>
	      </property>
	    </property>
	  </property>
	  <property name="plugins" type="empty">
	    <property name="plugin-1" type="string" value="clock">
	      <property name="digital-layout" type="uint" value="3"/>
	      <property name="digital-time-format" type="string" value="  %A, %-d %B   %H:%M"/>
	    </property>
	    <property name="plugin-2" type="string" value="separator">
	      <property name="expand" type="bool" value="true"/>
	      <property name="style" type="uint" value="0"/>
	    </property>
	    <property name="plugin-3" type="string" value="systray">
	      <property name="icon-size" type="int" value="22"/>
	      <property name="square-icons" type="bool" value="true"/>
	    </property>
	  </property>
	</channel>
TEXT
# Nothing that moves or fades: a picture is the same however slow the machine is.
write $settings/xfwm4.xml 644 <<-'TEXT'
	<?xml version="1.0" encoding="UTF-8"?>
	<channel name="xfwm4" version="1.0">
	  <property name="general" type="empty">
	    <property name="use_compositing" type="bool" value="false"/>
	    <property name="workspace_count" type="int" value="1"/>
	  </property>
	</channel>
TEXT
write $settings/xfce4-notifyd.xml 644 <<-'TEXT'
	<?xml version="1.0" encoding="UTF-8"?>
	<channel name="xfce4-notifyd" version="1.0">
	  <property name="do-fadeout" type="bool" value="false"/>
	  <property name="do-slideout" type="bool" value="false"/>
	  <property name="initial-opacity" type="double" value="1.0"/>
	  <property name="notify-location" type="uint" value="3"/>
	</channel>
TEXT
write /home/rrs/.config/gtk-3.0/settings.ini 644 <<-'TEXT'
	[Settings]
	gtk-enable-animations=false
	gtk-cursor-blink=false
TEXT
# lightdm's autologin fails without a word in a home that is not the user's.
chown -R 1000:1000 "$root/home/rrs"
chown -R 1001:1001 "$root/home/ann"

# Else the first boot rebuilds caches, and the next one does not.
touch "$root/etc/.updated" "$root/var/.updated"
systemctl --quiet --root "$root" enable systemd-networkd.service ssh.service lightdm.service
systemctl --quiet --root "$root" set-default graphical.target
# What would only take time, or change something while a test looks.
systemctl --quiet --root "$root" mask systemd-networkd-wait-online.service systemd-timesyncd.service \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
	fstrim.timer man-db.timer systemd-firstboot.service

cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
cp "$root"/boot/initrd.img-* "$dir/initrd.img"
umount "$top"
rmdir "$top"
