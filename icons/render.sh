#!/bin/sh
# Renders the drawings in svg/ to the PNGs in png/, which are committed: a build
# needs no renderer. Run it after changing a drawing ("make icons").
#
# A drawing in svg/16, svg/22 and svg/24 sits on the pixel grid of its size.
# Those in svg/64 keep their edges on whole pixels at 32 and 64 as well, and on
# whole or half ones at 48.
set -eu
cd "$(dirname "$0")"

if ! command -v rsvg-convert >/dev/null; then
	echo "render.sh: error: cannot render the icons: rsvg-convert is missing" >&2
	echo "render.sh: hint: apt install librsvg2-bin" >&2
	exit 1
fi

# OUT is where the PNGs go; the test renders into a directory of its own.
out=${OUT:-png}

# render GRID SIZE
render() {
	mkdir -p "$out/color/$2" "$out/symbolic/$2"
	for drawing in svg/"$1"/*.svg; do
		name=$(basename "$drawing" .svg)
		rsvg-convert --width="$2" --height="$2" --output="$out/color/$2/$name.png" "$drawing"
		# The application's own icon stands in menus and dialogs, never in a panel.
		[ "$name" = immutray ] && continue
		rsvg-convert --width="$2" --height="$2" --stylesheet=symbolic.css \
			--output="$out/symbolic/$2/$name.png" "$drawing"
	done
}

render 16 16
render 22 22
render 24 24
render 64 32
render 64 48
render 64 64
