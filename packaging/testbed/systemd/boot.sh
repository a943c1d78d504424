# Boots systemd as PID 1 of the namespaces that unshare(1) has made, with a message bus,
# the units of the directory UNITS and, in a file, a btrfs of the classic layout: no more
# than what a window needs. It reaches nothing of the machine; the test ends all of it.
#
#   boot.sh CGROUP UNITS PROGRAMS [KEPT BOOT]
#
# All of it is in CGROUP, a name that no other boot has: the next boot would find what this
# one leaves behind, such as a frozen scope. With KEPT, a directory, it has a journal and
# /var/lib in there, as the boot with the id BOOT.
set -eu
if [ -n "$1" ]; then
	mount --make-rprivate /
	mount -t cgroup2 none /sys/fs/cgroup
	mkdir "/sys/fs/cgroup/$1"
	echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"
	umount /sys/fs/cgroup
	shift
	exec unshare --cgroup sh "$0" "" "$@" # where that one is the root
fi
units=$2 programs=$3 kept=${4-} boot=${5-}
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o mode=755 none /run
mkdir /run/units /run/etc /run/dbus /run/systemd
# As "make install" does: systemd 252 reads no drop-ins in a directory that is a link.
cp -rL "$units"/*.service "$units"/*.service.d "$units"/*.path /run/units/
cp -r "$programs" /run/programs

# The programs and their configuration have to be where the units look for them.
mount -t tmpfs -o mode=755 none /usr/libexec
mkdir /usr/libexec/immutray
cp /run/programs/immutray-helper /usr/libexec/immutray/
mount --bind /run/programs /usr/local/bin
cp -a /etc/. /run/etc/
mount --bind /run/etc /etc
mkdir -p /etc/immutray
cat >/etc/immutray/config.toml <<END
paths = ["/mnt/root", "/mnt/root/etc"]
islands = []
relock_on = ["sleep", "logout"]
END
chmod 755 /etc /etc/immutray
chmod 644 /etc/immutray/config.toml

messages=console wants=dbus.service
if [ -z "$kept" ]; then
	mount -t tmpfs -o mode=755 none /var/lib
else
	messages=journal wants="$wants systemd-journald.service"
	echo "$boot" >/run/boot_id
	mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
	echo quiet >/run/cmdline # no word for the seal
	mount --bind /run/cmdline /proc/cmdline
	mkdir -p "$kept/log" "$kept/lib"
	mount --bind "$kept/log" /var/log
	mount --bind "$kept/lib" /var/lib
	echo 0123456789abcdef0123456789abcdef >/etc/machine-id
	# Nothing of the machine's own log.
	printf '[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=\nForwardToSyslog=no\n' >/etc/systemd/journald.conf
	cat >/run/units/systemd-journald.socket <<-END
	[Unit]
	DefaultDependencies=no
	[Socket]
	ListenStream=/run/systemd/journal/stdout
	ListenDatagram=/run/systemd/journal/socket
	SocketMode=0666
	PassCredentials=yes
	END
	cat >/run/units/systemd-journald.service <<-END
	[Unit]
	DefaultDependencies=no
	Requires=systemd-journald.socket
	After=systemd-journald.socket
	[Service]
	Type=notify
	ExecStart=/lib/systemd/systemd-journald
	Sockets=systemd-journald.socket
	StandardOutput=null
	END
fi

truncate --size=300M /run/disk
mkfs.btrfs --quiet /run/disk
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/top /mnt/root
mount -o loop /run/disk /mnt/top
btrfs --quiet subvolume create /mnt/top/R
btrfs --quiet subvolume create /mnt/top/R/etc
device=$(sed -n 's|^\(/dev/loop[0-9]*\) /mnt/top .*|\1|p' /proc/mounts)
mount -o subvol=R "$device" /mnt/root
mount -o subvol=R/etc "$device" /mnt/root/etc
umount /mnt/top

for target in sysinit basic shutdown sockets timers paths local-fs emergency sleep; do
	printf '[Unit]\nDefaultDependencies=no\n' >/run/units/$target.target
done
cat >/run/units/default.target <<END
[Unit]
DefaultDependencies=no
Wants=$wants
END
cat >/run/units/dbus.socket <<END
[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/dbus/system_bus_socket
END
cat >/run/units/dbus.service <<END
[Unit]
DefaultDependencies=no
Requires=dbus.socket
After=dbus.socket
[Service]
Type=notify
ExecStart=dbus-daemon --config-file=/run/bus.conf --address=systemd: --nofork --nopidfile --systemd-activation
END
cat >/run/bus.conf <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
END
export container=test SYSTEMD_UNIT_PATH=/run/units:/run/systemd/transient
exec /lib/systemd/systemd --unit=default.target --log-target=$messages --show-status=no
