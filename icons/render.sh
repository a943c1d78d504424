#!/bin/sh
# Renders the drawings in svg/ to the PNGs in png/, which are committed: a build
# needs no renderer. Run it after changing a drawing ("make icons").
#
# A drawing in a directory named 16, 22 or 24 sits on the pixel grid of its size. Those in
# svg/64 keep their edges on whole pixels at 32 and 64, and on whole or half ones at 48;
# those in svg/symbolic/16 at every multiple of 16.
set -eu
cd "$(dirname "$0")"

if ! command -v rsvg-convert >/dev/null; then
	echo "render.sh: error: cannot render the icons: rsvg-convert is missing" >&2
	echo "render.sh: hint: apt install librsvg2-bin" >&2
	exit 1
fi

# OUT is where the PNGs go; the test renders into a directory of its own.
out=${OUT:-png}

# render DRAWINGS STYLE SIZE
render() {
	mkdir -p "$out/$2/$3"
	for drawing in svg/"$1"/*.svg; do
		name=$(basename "$drawing" .svg)
		rsvg-convert --width="$3" --height="$3" --output="$out/$2/$3/${name%-symbolic}.png" "$drawing"
	done
}

for size in 16 22 24; do
	render $size color $size
	render symbolic/$size symbolic $size
done
for size in 32 48 64; do
	render 64 color $size
	render symbolic/16 symbolic $size
done
