package icons

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// The panels that the states must be readable on: Adwaita's dark and light.
var panels = map[string]color.RGBA{
	"dark":  {0x2e, 0x34, 0x36, 0xff},
	"light": {0xf6, 0xf5, 0xf4, 0xff},
}

// states lists the names that stand for a state.
func states() []Name { return []Name{Locked, Unlocked, PartlyLocked, Working, Unknown} }

func styles() []Style { return []Style{Color, Symbolic} }

func decode(t *testing.T, name Name, style Style, size int) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(PNG(name, style, size)))
	if err != nil {
		t.Fatalf("PNG(%s, %s, %d): %v", name, style, size, err)
	}
	return img
}

func TestEveryStateHasAPictureInEachStyleAndSize(t *testing.T) {
	for _, size := range Sizes() {
		want := image.Rect(0, 0, size, size)
		for _, style := range styles() {
			for _, name := range states() {
				if got := decode(t, name, style, size).Bounds(); got != want {
					t.Errorf("PNG(%s, %s, %d) is %v, want %v", name, style, size, got, want)
				}
			}
		}
		if got := decode(t, Application, Color, size).Bounds(); got != want {
			t.Errorf("PNG(%s, color, %d) is %v, want %v", Application, size, got, want)
		}
	}
}

func TestPNGReturnsNilForWhatThereIsNot(t *testing.T) {
	if got := PNG(Application, Symbolic, 16); got != nil {
		t.Errorf("PNG(%s, symbolic, 16) = %d bytes, want nil", Application, len(got))
	}
	if got := PNG("../icons", Color, 17); got != nil {
		t.Errorf("PNG(../icons, color, 17) = %d bytes, want nil", len(got))
	}
}

// linear undoes sRGB's transfer function.
func linear(v uint8) float64 {
	c := float64(v) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func luminance(c color.RGBA) float64 {
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// contrast is the contrast ratio of WCAG 2.1.
func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

// on returns a pixel of the picture as it looks on a panel.
func on(panel color.RGBA, img image.Image, x, y int) color.RGBA {
	r, g, b, a := img.At(x, y).RGBA() // premultiplied
	over := func(c uint32, p uint8) uint8 { return uint8((c + uint32(p)*257*(0xffff-a)/0xffff) / 257) }
	return color.RGBA{over(r, panel.R), over(g, panel.G), over(b, panel.B), 0xff}
}

// WCAG 2.1 asks for 3:1 where a graphic must be seen to be understood. Not every
// pixel can reach it, the outline is for one panel and the filling for the other;
// but what does reach it must be enough to draw the shape.
func TestStatesStandOutOnDarkAndLightPanels(t *testing.T) {
	const ratio, share = 3.0, 0.14
	for panelName, panel := range panels {
		for _, style := range styles() {
			for _, size := range Sizes() {
				for _, name := range states() {
					img := decode(t, name, style, size)
					seen := 0
					for y := range size {
						for x := range size {
							if contrast(luminance(on(panel, img, x, y)), luminance(panel)) >= ratio {
								seen++
							}
						}
					}
					got := float64(seen) / float64(size*size)
					if got < share {
						t.Errorf("%s (%s, %d px) on a %s panel: %.0f %% of its pixels reach %.0f:1, want %.0f %%",
							name, style, size, panelName, got*100, ratio, share*100)
					}
				}
			}
		}
	}
}

// The difference is counted in lightness alone: people who see no colours at all must
// be able to distinguish the states by shape, in both styles.
func TestStatesDifferWithoutColour(t *testing.T) {
	const share = 0.14
	for panelName, panel := range panels {
		for _, style := range styles() {
			for _, size := range Sizes() {
				for i, a := range states() {
					for _, b := range states()[i+1:] {
						got := unlike(panel, decode(t, a, style, size), decode(t, b, style, size))
						if got < share {
							t.Errorf("%s and %s (%s, %d px, %s panel) differ in %.0f %% of their pixels, want %.0f %%",
								a, b, style, size, panelName, got*100, share*100)
						}
					}
				}
			}
		}
	}
}

// unlike is the share of the pixels whose lightness differs between two pictures on a panel.
func unlike(panel color.RGBA, a, b image.Image) float64 {
	const lightness = 0.25
	different, size := 0, a.Bounds().Dx()
	for y := range size {
		for x := range size {
			la := perceived(luminance(on(panel, a, x, y)))
			lb := perceived(luminance(on(panel, b, x, y)))
			if math.Abs(la-lb) >= lightness {
				different++
			}
		}
	}
	return float64(different) / float64(size*size)
}

// perceived is CIE L*, from 0 to 1.
func perceived(luminance float64) float64 {
	if luminance <= 216.0/24389 {
		return luminance * 24389 / 27 / 100
	}
	return 1.16*math.Cbrt(luminance) - 0.16
}

func TestEveryDrawingHasAName(t *testing.T) {
	color := append(states(), Application)
	var symbolic []Name
	for _, name := range states() {
		symbolic = append(symbolic, name.Symbolic())
	}
	for dir, names := range map[string][]Name{
		"16": color, "22": color, "24": color, "64": color,
		"symbolic/16": symbolic, "symbolic/22": symbolic, "symbolic/24": symbolic,
	} {
		drawings, err := filepath.Glob(filepath.Join("svg", dir, "*.svg"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range drawings {
			if name := Name(strings.TrimSuffix(filepath.Base(d), ".svg")); !slices.Contains(names, name) {
				t.Errorf("%s is drawn, but no name stands for it", d)
			}
		}
		if len(drawings) != len(names) {
			t.Errorf("svg/%s has %d drawings, want %d", dir, len(drawings), len(names))
		}
	}
}

// The committed PNGs are what render.sh makes of the drawings. Compared are pixels
// with a tolerance, because renderers of different versions smooth edges differently.
func TestPNGsAreRenderedFromTheDrawings(t *testing.T) {
	lab.Require(t, "rsvg-convert:librsvg2-bin")
	fresh := t.TempDir()
	render := exec.Command("./render.sh")
	render.Env = append(os.Environ(), "OUT="+fresh)
	if out, err := render.CombinedOutput(); err != nil {
		t.Fatalf("render.sh: %v\n%s", err, out)
	}
	compared := 0
	err := fs.WalkDir(os.DirFS(fresh), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		compared++
		return samePicture(filepath.Join(fresh, path), filepath.Join("png", path))
	})
	if err != nil {
		t.Errorf("%v; run render.sh", err)
	}
	if want := len(Sizes()) * (2*len(states()) + 1); compared != want {
		t.Errorf("render.sh made %d pictures, want %d", compared, want)
	}
}

func samePicture(a, b string) error {
	imgA, err := readPicture(a)
	if err != nil {
		return err
	}
	imgB, err := readPicture(b)
	if err != nil {
		return err
	}
	if imgA.Bounds() != imgB.Bounds() {
		return fmt.Errorf("%s is %v, rendered again %v", b, imgB.Bounds(), imgA.Bounds())
	}
	var sum float64
	bounds := imgA.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			ra, ga, ba, aa := imgA.At(x, y).RGBA()
			rb, gb, bb, ab := imgB.At(x, y).RGBA()
			for _, d := range [4]float64{diff(ra, rb), diff(ga, gb), diff(ba, bb), diff(aa, ab)} {
				sum += d
			}
		}
	}
	if mean := sum / float64(4*bounds.Dx()*bounds.Dy()); mean > 0.01 {
		return fmt.Errorf("%s differs from its drawing by %.1f %% of the colour range on average", b, mean*100)
	}
	return nil
}

func diff(a, b uint32) float64 { return math.Abs(float64(a)-float64(b)) / 0xffff }

func readPicture(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return png.Decode(f)
}
