#!/bin/bash
# Makes the packages of one architecture out of what "make install" has staged:
#
#   package.sh ARCH STAGE OUT DESCRIPTION FORMAT...
#
# "make packages" calls it, in the directory of the Makefile, with the command for
# nfpm in NFPM. STAGE/root is what was installed; DESCRIPTION names the version, as
# git describe does.
set -euo pipefail

export PACKAGE_ARCH=$1 PACKAGE_STAGE=$2 PACKAGE_VERSION
out=$3 description=$4
shift 4

# The same source gives the same packages, to the byte: every time in them is that
# of the commit.
if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)
fi
export SOURCE_DATE_EPOCH
PACKAGE_VERSION=$(packaging/nfpm/version.sh "$description" "$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y%m%d)")

umask 022
gzip --no-name --best --force --recursive "$PACKAGE_STAGE/root/usr/share/man"
mkdir "$PACKAGE_STAGE/other"
mv "$PACKAGE_STAGE/root/usr/share/zsh/vendor-completions/_immutectl" "$PACKAGE_STAGE/other/"
rm -r "$PACKAGE_STAGE/root/usr/share/zsh"
gzip --no-name --best <CHANGELOG.md >"$PACKAGE_STAGE/other/changelog.gz"
gzip --no-name --best >"$PACKAGE_STAGE/other/changelog.Debian.gz" <<TEXT
immutray ($PACKAGE_VERSION-1) unstable; urgency=medium

  * Built from the source; changelog.gz says what is new in it.

 -- The Immutray authors <maintainers@immutray.org>  $(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S %z')
TEXT
find "$PACKAGE_STAGE" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

version=$PACKAGE_VERSION
for format; do
	PACKAGE_VERSION=$version
	if [[ $format == archlinux ]]; then
		PACKAGE_VERSION=${version//\~/} # to pacman, what has letters right after 1.0 is older
	fi
	$NFPM package --config packaging/nfpm.yaml --packager "$format" --target "$out"
done
