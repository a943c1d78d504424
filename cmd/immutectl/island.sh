# Gives a directory a subvolume of its own: island.sh DIRECTORY SOURCE UUID PARENT NAME FSTAB
#
# SOURCE is a device of the btrfs that the directory is on and UUID names it; the
# subvolume becomes PARENT/NAME, both from the top of that btrfs. Nothing is deleted: what
# was in the directory stays below the mount. A failure takes back everything.
set -eu
dir=$1 source=$2 uuid=$3 parent=$4 name=$5 fstab=$6

top=$(mktemp -d /run/immutray-island.XXXXXX)
made= held= mounted= new=
undo() {
	status=$?
	trap - EXIT
	if [ "$status" != 0 ]; then
		[ -z "$new" ] || rm -f "$new"
		[ -z "$mounted" ] || umount "$dir"
		[ -z "$held" ] || umount "$dir"
		[ -z "$made" ] || btrfs subvolume delete "$made" >/dev/null
	fi
	if mountpoint -q "$top"; then umount "$top"; fi
	rmdir "$top"
	exit "$status"
}
trap undo EXIT
trap 'exit 1' HUP INT TERM

mount -t btrfs -o subvolid=5 "$source" "$top"
free=$name n=0
while [ -e "$top$parent/$free" ]; do
	n=$((n + 1)) free=$name.$n
done
btrfs subvolume create "$top$parent/$free" >/dev/null
made=$top$parent/$free

# From here on nothing can be added to what is copied.
mount --bind "$dir" "$dir"
held=yes
mount -o remount,bind,ro "$dir"
# Files without copy-on-write can't share their space: not --reflink=always.
cp -a --reflink=auto "$dir/." "$made/"
sync -f "$made"
umount "$dir"
held=

mount -t btrfs -o "subvol=$parent/$free,noatime" "$source" "$dir"
mounted=yes

# fstab last, and at once: whatever happens, the next boot has the old one or the new.
new=$fstab.immutray
cp -p "$fstab" "$new"
[ -z "$(tail -c 1 "$new")" ] || echo >>"$new"
echo "UUID=$uuid $dir btrfs subvol=$parent/$free,defaults,noatime 0 0" >>"$new"
sync -f "$new"
mv "$new" "$fstab"
made= mounted= new=
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
echo "$dir has a subvolume of its own now: $parent/$free"
