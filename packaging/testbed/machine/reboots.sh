#!/bin/bash
# What the guest does in a boot that tests the seal: reboots.sh watch ISLAND...|look|hang.
# Words of the kernel's command line say what to do. It writes what it finds to a serial port
# of its own, so such a boot needs no login and ends by itself:
#
#   leave=locked|unlocked  how to leave the system before it is switched off
#   cut=lock|unlock|seal   begin that, stop in the middle, and wait for the power cut
#   cut=window             the same, in the middle of a window
#   cut=boot               hang when the system is sealed, and wait for the power cut
#   prepare=cut            have the seal of the next boot do so
#   prepare=extension      have the next boot lay a configuration extension over /etc
#   tell=history           note the last window
#   tell=updated           note what the update has installed
#
# Starting a program takes the slow machine a tenth of a second, so this script avoids it.
# The test reads on the console what PID 1 did and when.
set -u
notes=/dev/ttyS1
read -r command_line </proc/cmdline

note() { echo "$*" >$notes; }

word() { # word NAME: its value on the command line
	local w
	for w in $command_line; do
		[[ $w == "$1="* ]] && echo "${w#*=}"
	done
}

# mount_flags sets flags to the mount flags of / and /etc, ro or rw, as PID 1 sees them. Of
# mounts on one another the last counts.
mount_flags() {
	local path options root=none etc=none
	while read -r _ _ _ _ path options _; do
		case $path in
		/) root=${options%%,*} ;;
		/etc) etc=${options%%,*} ;;
		esac
	done </proc/1/mountinfo
	flags="$root $etc"
}

# watch ISLAND... writes to the islands from the moment they are mounted, and notes when a
# change has come to a halt between two paths.
watch() {
	local halts=0 island cut flags
	cut=$(word cut)
	mkfifo /run/pause && exec 9<>/run/pause
	while true; do
		for island; do
			echo $RANDOM 2>/dev/null >$island/.watch || note "frozen $island"
		done
		# Nothing is ever written to it: reading from it is a pause without a program.
		read -r -t 0.5 -u 9
		[[ -n $cut ]] || continue
		mount_flags
		if [[ $flags == "ro rw" || $flags == "rw ro" ]]; then
			halts=$((halts + 1))
		else
			halts=0
		fi
		# A change that is not stopped is past this in a fraction of the time.
		((halts == 6)) && note "halfway $flags"
	done
}

# hang keeps the boot from coming up.
hang() {
	tell
	note "halfway in the boot"
	exec sleep infinity
}

# look notes how the system came up, and leaves it in the state that the command line names.
look() {
	tell
	local leave verb
	if [[ -e /etc/extension.conf ]]; then
		note extension
		systemd-confext unmerge && rm -r /var/lib/confexts/ours
	fi
	leave=$(word leave)
	if [[ -n $leave ]]; then
		immutectl "${leave%ed}" && note "left $leave"
	fi
	verb=$(word cut)
	if [[ $verb == lock || $verb == unlock ]]; then
		stop_in_the_middle "$verb" /run/systemd/system
		systemctl daemon-reload
		exec immutectl "$verb"
	fi
	[[ $verb == window ]] && immutectl unlock --for 1h --reason "new kernel"
	[[ $(word prepare) == extension ]] && lay_extension
	[[ $(word prepare) == cut ]] && stop_in_the_middle seal /etc/systemd/system
	if [[ $verb == window ]]; then
		sync
		note "halfway in a window"
		exec sleep infinity
	fi
	if [[ $(word tell) == history ]]; then
		local windows
		windows=$(immutectl history --json -n 1) && note "history ${windows//$'\n'/}"
	fi
	if [[ $(word tell) == updated ]]; then
		local one other link="no link"
		read -r one </usr/lib/updated && read -r other </etc/updated
		[[ -L /system-update || -L /etc/system-update ]] && link="a link"
		note "updated $one $other $link"
	fi
	note "end"
	# Services are killed, not stopped one by one; mounts are taken off as ever.
	systemctl reboot --force
}

# tell notes the result of the seal and the state of the system.
tell() {
	note seal $(systemctl show --property=ActiveState --property=Result immutability-seal.service)
	probe
}

# probe tries to write where nothing may be written, and notes the state.
probe() {
	local path state
	for path in / /etc; do
		if true 2>/dev/null >"$path/.probe"; then
			note "written $path"
		fi
	done
	state=$(immutectl status --json) && note "state ${state//[$'\n ']/}"
}

# lay_extension makes an extension, and has systemd merge it at every boot.
lay_extension() {
	local dir=/var/lib/confexts/ours/etc
	mkdir -p $dir/extension-release.d
	echo ID=_any >$dir/extension-release.d/extension-release.ours
	: >$dir/extension.conf
	systemctl enable systemd-confext.service
}

# stop_in_the_middle has a unit of ours stop when it comes to the mount flag of /etc.
stop_in_the_middle() {
	local unit=immutray-$1 arguments="$1 --work"
	[[ $1 == seal ]] && unit=immutability-seal arguments=seal
	mkdir -p "$2/$unit.service.d"
	cat >"$2/$unit.service.d/cut.conf" <<-TEXT
		[Service]
		SystemCallFilter=
		ExecStart=
		ExecStart=/bin/bash $(realpath "$0") begin /usr/libexec/immutray/immutray-helper $arguments
	TEXT
}

# begin runs a program, and if this boot is to be cut it stops there.
begin() {
	[[ -n $(word cut) ]] || exec "$@"
	exec strace -f -qq -o /run/cut.trace -P /etc -e trace=mount_setattr -e inject=mount_setattr:delay_enter=3600s "$@"
}

"$@"
