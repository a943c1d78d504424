#!/bin/bash
# Installs with apt what "make run" and "make test" need and this machine lacks.
#
#   install-tools.sh run     what the practice system needs
#   install-tools.sh test    that, and what the tests need
#   install-tools.sh go      installs nothing: prints the Go command to use
#
# Without root it prints the command and goes on: the programs and tests that need
# a missing tool say so themselves. This is the one place that lists the packages.
set -euo pipefail

# program:package, or /file:package where a package brings no program. A * in a
# file stands for the machine's architecture or a version.
build_tools=(
	git:git # fetches nothing, names the version
	/etc/ssl/certs/ca-certificates.crt:ca-certificates # for the Go module proxy
)
practice_tools=(
	mount:mount
	mkfs.btrfs:btrfs-progs
	dbus-daemon:dbus-daemon
	Xvfb:xvfb
	xkbcomp:x11-xkb-utils
	xsetroot:x11-xserver-utils
	xfwm4:xfwm4
	xfce4-panel:xfce4-panel
	'/usr/lib/*/xfce4/xfconf/xfconfd:xfconf'
	'/usr/lib/*/xfce4/notifyd/xfce4-notifyd:xfce4-notifyd'
	xdotool:xdotool
	zenity:zenity
	man:man-db
	/usr/share/bash-completion/bash_completion:bash-completion
	# Toolkits show SVG icons through this loader, and only recommend it.
	'/usr/lib/*/gdk-pixbuf-2.0/*/loaders/*svg.so:librsvg2-common'
	/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core
	/usr/share/icons/Adwaita/index.theme:adwaita-icon-theme
)
test_tools=(
	gcc:gcc # the race detector is linked with it
	'/usr/include/stdlib.h:libc6-dev'
	script:bsdutils
	strace:strace
	sqlite3:sqlite3
	lsof:lsof
	rsvg-convert:librsvg2-bin
	desktop-file-validate:desktop-file-utils
	appstreamcli:appstream
	mandoc:mandoc
	rpm:rpm # the locks of these two are asked for
	pacman:pacman-package-manager
	lintian:lintian
	shellcheck:shellcheck
	bsdtar:libarchive-tools # lists rpm's and Arch's packages
	systemd-analyze:systemd
	pkexec:pkexec
	# A Debian in a virtual machine: packaging/testbed/machine.
	mmdebstrap:mmdebstrap
	/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
	qemu-system-x86_64:qemu-system-x86
	qemu-img:qemu-utils
	zstd:zstd # unpacks kernels, of xz too
	ssh:openssh-client
)
# The oldest compiler that builds this module: the go line of go.mod.
go_minor=24

main() {
	local tools=("${build_tools[@]}" "${practice_tools[@]}")
	case "${1:-}" in
	run) ;;
	test) tools+=("${test_tools[@]}") ;;
	go)
		go_command
		return
		;;
	*)
		echo "usage: install-tools.sh run|test|go" >&2
		exit 2
		;;
	esac
	local missing=() tool
	for tool in "${tools[@]}"; do
		present "${tool%:*}" || missing+=("${tool##*:}")
	done
	if ((${#missing[@]})); then
		install_packages "${missing[@]}"
	fi
	go_command >/dev/null || install_go
}

present() {
	case "$1" in
	/*) compgen -G "$1" >/dev/null ;;
	*) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
	esac
}

install_packages() {
	if ! command -v apt-get >/dev/null; then
		echo "install-tools: no apt-get here; on Debian these packages are missing: $*" >&2
		return 0
	fi
	if ((EUID != 0)); then
		echo "install-tools: some tools are missing. To install them:" >&2
		echo "    sudo apt install --no-install-recommends $*" >&2
		return 0
	fi
	echo "install-tools: installing $*" >&2
	update_once
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@" >&2 </dev/null
}

updated=no
update_once() {
	[[ $updated == yes ]] && return
	apt-get update --quiet >&2 </dev/null
	updated=yes
}

# go_command prints the first Go command of this machine that is new enough.
go_command() {
	local candidate version
	for candidate in ${GO:-} go /usr/local/go/bin/go /usr/lib/go-1.*/bin/go; do
		version=$(GOTOOLCHAIN=local "$candidate" env GOVERSION 2>/dev/null) || continue
		if [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= go_minor)); then
			echo "$candidate"
			return
		fi
	done
	return 1
}

install_go() {
	if command -v apt-get >/dev/null && ((EUID == 0)); then
		update_once
		local package
		if package=$(go_package); then
			install_packages "$package"
			go_command >/dev/null && return
		fi
	fi
	local have="this machine has none"
	if command -v go >/dev/null; then
		have="this machine has $(GOTOOLCHAIN=local go env GOVERSION)"
	fi
	cat >&2 <<-TEXT
		install-tools: Go 1.$go_minor or newer is needed to build Immutray; $have.
		    Debian 13 has it:        apt install golang-go
		    Debian 12, backports:    apt install -t bookworm-backports golang-1.$go_minor-go
		    elsewhere:               https://go.dev/dl/
	TEXT
	exit 1
}

# go_package prints the package of a compiler that is new enough: golang-go, or
# else the newest golang-1.N-go that apt would install here.
go_package() {
	local version minor
	version=$(apt-cache policy golang-go | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}1\.\([0-9]*\).*/\2/p')
	if [[ -n $version ]] && ((version >= go_minor)); then
		echo golang-go
		return
	fi
	minor=$(apt-cache search --names-only '^golang-1\.[0-9]+-go$' | sed -n 's/^golang-1\.\([0-9]*\)-go .*/\1/p' | sort -n | tail -n 1)
	[[ -n $minor ]] && ((minor >= go_minor)) && echo "golang-1.$minor-go"
}

main "$@"
