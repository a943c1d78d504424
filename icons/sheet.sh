#!/bin/sh
# Draws the contact sheet, one picture with every state in every size of a panel, on dark and
# light, to be looked at: sheet.sh FILE ("make icons"). Each state is there as it is and,
# up to 32 pixels, magnified. The last rows are the symbolic drawings as a toolkit recolours them.
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")"
mkdir -p "$(dirname "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

states="locked unlocked partly-locked working unknown"
sizes="16 22 24 32 48"
dark="#2e3436" light="#f6f5f4"
label=180 width=460 magnified=4
height=$((32 * magnified + 84))

# images FILES X Y: a state in every size, and the smaller ones magnified.
images() {
	x=$2
	for size in $sizes; do
		file=$(echo "$1" | sed "s/SIZE/$size/")
		data="data:image/png;base64,$(base64 -w0 "$file")"
		printf '<image x="%d" y="%d" width="%d" height="%d" href="%s"/>\n' "$x" "$(($3 + 12))" "$size" "$size" "$data"
		x=$((x + size + 10))
	done
	x=$2
	for size in 16 22 24 32; do
		file=$(echo "$1" | sed "s/SIZE/$size/")
		data="data:image/png;base64,$(base64 -w0 "$file")"
		printf '<image x="%d" y="%d" width="%d" height="%d" image-rendering="optimizeSpeed" href="%s"/>\n' \
			"$x" "$(($3 + 72))" "$((size * magnified))" "$((size * magnified))" "$data"
		x=$((x + size * magnified + 20))
	done
}

# row Y PANEL INK TITLE FILES, the files with STATE and SIZE in their name.
row() {
	printf '<rect y="%d" width="100%%" height="%d" fill="%s"/>\n' "$1" "$height" "$2"
	printf '<text x="10" y="%d" font-family="sans-serif" font-size="15" fill="%s">%s</text>\n' "$(($1 + 30))" "$3" "$4"
	column=$label
	for s in $states; do
		images "$(echo "$5" | sed "s/STATE/$s/")" "$column" "$1"
		column=$((column + width))
	done
}

# recolour DIR COLOUR: what GTK and GNOME Shell make of a symbolic drawing
# (gtk_icon_info_load_symbolic_svg in gtk/gtkicontheme.c).
recolour() {
	echo "rect,circle,path { fill: $2 !important }" >"$work/recolour.css"
	mkdir -p "$work/$1"
	for size in $sizes; do
		for s in $states; do
			drawing=svg/symbolic/$size/immutray-$s-symbolic.svg
			[ -e "$drawing" ] || drawing=svg/symbolic/16/immutray-$s-symbolic.svg
			rsvg-convert --width="$size" --height="$size" --stylesheet="$work/recolour.css" \
				--output="$work/$1/$s-$size.png" "$drawing"
		done
	done
}

recolour light "#ffffff"
recolour dark "#2e3436"
{
	printf '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d">\n' "$((label + 5 * width))" "$((6 * height))"
	row 0 "$dark" "$light" "colour" "png/color/SIZE/immutray-STATE.png"
	row "$height" "$light" "$dark" "colour" "png/color/SIZE/immutray-STATE.png"
	row $((2 * height)) "$dark" "$light" "symbolic, as it is" "png/symbolic/SIZE/immutray-STATE.png"
	row $((3 * height)) "$light" "$dark" "symbolic, as it is" "png/symbolic/SIZE/immutray-STATE.png"
	row $((4 * height)) "$dark" "$light" "symbolic, recoloured" "$work/light/STATE-SIZE.png"
	row $((5 * height)) "$light" "$dark" "symbolic, recoloured" "$work/dark/STATE-SIZE.png"
	echo '</svg>'
} >"$work/sheet.svg"
rsvg-convert --unlimited --output="$out" "$work/sheet.svg"
