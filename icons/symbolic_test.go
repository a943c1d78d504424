package icons

import (
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

func symbolicDrawings(t *testing.T) []string {
	t.Helper()
	drawings, err := filepath.Glob("svg/symbolic/*/*.svg")
	if err != nil || len(drawings) == 0 {
		t.Fatalf("there is no symbolic drawing: %v", err)
	}
	return drawings
}

// GTK and GNOME Shell set the fill of these elements (gtk_icon_info_load_symbolic_svg in
// GTK 3's gtkicontheme.c), and KDE replaces the style sheet (KIconLoader's processSvg). A
// stroke, or an element of another kind, would keep its colour; a fill of its own would on KDE.
func TestSymbolicDrawingsHaveWhatToolkitsRecolour(t *testing.T) {
	element := regexp.MustCompile(`<([a-z]+)([^>]*)>`)
	for _, drawing := range symbolicDrawings(t) {
		data, err := os.ReadFile(drawing)
		if err != nil {
			t.Fatal(err)
		}
		styled := false
		for _, e := range element.FindAllStringSubmatch(string(data), -1) {
			switch has := func(attribute string) bool { return regexp.MustCompile(` ` + attribute).MatchString(e[2]) }; e[1] {
			case "svg", "title":
			case "style":
				styled = has(`id="current-color-scheme"`)
			case "path":
				if !has(`class="ColorScheme-Text"`) || !has(`fill="currentColor"`) || has(`stroke|style|opacity`) {
					t.Errorf("%s: a toolkit can't recolour %s", drawing, e[0])
				}
			default:
				t.Errorf("%s: a toolkit can't recolour <%s>", drawing, e[1])
			}
		}
		if !styled {
			t.Errorf("%s: there is no style sheet that KDE replaces", drawing)
		}
	}
}

// The shape must be the same whatever the colour: nothing is drawn over something else.
func TestSymbolicDrawingsKeepTheirShapeInAnotherColour(t *testing.T) {
	lab.Require(t, "rsvg-convert:librsvg2-bin")
	dir := t.TempDir()
	sheet, rendered := filepath.Join(dir, "sheet.css"), filepath.Join(dir, "rendered.png")
	if err := os.WriteFile(sheet, []byte("rect,circle,path { fill: #ff0000 !important }"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, drawing := range symbolicDrawings(t) {
		if out, err := exec.Command("rsvg-convert", "--stylesheet="+sheet, "--output="+rendered, drawing).CombinedOutput(); err != nil {
			t.Fatalf("rsvg-convert: %v\n%s", err, out)
		}
		recoloured, err := readPicture(rendered)
		if err != nil {
			t.Fatal(err)
		}
		original, err := readPicture(filepath.Join("png", strings.TrimPrefix(strings.TrimSuffix(drawing, "-symbolic.svg"), "svg")+".png"))
		if err != nil {
			t.Fatal(err)
		}
		sameShapeInRed(t, drawing, recoloured, original)
	}
}

func sameShapeInRed(t *testing.T, drawing string, red, original image.Image) {
	t.Helper()
	const tolerance = 0x200
	for y := range original.Bounds().Dy() {
		for x := range original.Bounds().Dx() {
			r, g, b, a := red.At(x, y).RGBA()
			_, _, _, want := original.At(x, y).RGBA()
			if max(a, want)-min(a, want) > tolerance {
				t.Errorf("%s: the opacity at %d,%d changes with the colour from %#x to %#x", drawing, x, y, want, a)
			}
			if g > tolerance || b > tolerance || max(a, r)-min(a, r) > tolerance {
				t.Errorf("%s: the pixel at %d,%d is not recoloured", drawing, x, y)
			}
		}
	}
}

// What no toolkit recolours is one grey, seen on dark panels as on light ones.
func TestSymbolicPicturesHaveOneColour(t *testing.T) {
	for _, size := range Sizes() {
		for _, name := range states() {
			img := decode(t, name, Symbolic, size)
			for y := range size {
				for x := range size {
					if r, g, b, _ := img.At(x, y).RGBA(); r != g || g != b {
						t.Fatalf("%s (%d px) has a colour at %d,%d", name, size, x, y)
					}
				}
			}
		}
	}
}
