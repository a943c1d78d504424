#!/bin/bash
# Prints the version of the packages for what "git describe --always --dirty" says:
#
#   version.sh DESCRIPTION [YYYYMMDD]
#
#   v1.2.3                 1.2.3
#   v1.3.0-rc.1            1.3.0~rc.1           before 1.3.0
#   v1.2.3-4-gabcdef0      1.2.3+4.gabcdef0     after 1.2.3
#   abcdef0                0.0~gitYYYYMMDD.abcdef0, before every release
#
# "-dirty" at the end becomes ".dirty".
set -euo pipefail

description=${1:?usage: version.sh DESCRIPTION [YYYYMMDD]}
day=${2:-}

dirty=
if [[ $description == *-dirty ]]; then
	description=${description%-dirty}
	dirty=.dirty
fi
commits=
if [[ $description =~ ^(.*)-([0-9]+)-(g[0-9a-f]+)$ ]]; then
	description=${BASH_REMATCH[1]}
	commits=+${BASH_REMATCH[2]}.${BASH_REMATCH[3]}
fi
if [[ $description =~ ^v?([0-9]+(\.[0-9]+)+)(-([0-9A-Za-z.-]+))?$ ]]; then
	version=${BASH_REMATCH[1]}
	if [[ -n ${BASH_REMATCH[4]} ]]; then
		version+="~${BASH_REMATCH[4]//-/.}"
	fi
else
	version="0.0~git$day.${description//[^0-9A-Za-z.]/.}"
fi
echo "$version$commits$dirty"
