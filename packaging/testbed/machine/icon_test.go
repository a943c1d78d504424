package machine

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"immutray.org/icons"
	"immutray.org/packaging/tryout/desktop"
)

// onPanel is about an icon as the panel of the guest draws it.
func onPanel(name icons.Name) (*image.RGBA, error) {
	// The panel and its colour are image.sh's; the size is what it takes for icons of 22.
	const height, size = 32, 24
	picture, err := png.Decode(bytes.NewReader(icons.PNG(name, icons.Color, size)))
	if err != nil {
		return nil, err
	}
	// As wide as IconPlace needs a screen to be: icons are in its right half.
	panel := image.NewRGBA(image.Rect(0, 0, 8*height, height))
	draw.Draw(panel, panel.Rect, image.NewUniform(color.RGBA{0x2b, 0x30, 0x3b, 0xff}), image.Point{}, draw.Src)
	at := image.Pt(6*height, (height-size)/2)
	draw.Draw(panel, picture.Bounds().Add(at), picture, image.Point{}, draw.Over)
	return desktop.Crop(panel, desktop.IconPlace(panel)), nil
}

// alike reports whether two pictures show the same: about of one size, and in a coarse
// view of one colour, since the panel scales its icons.
func alike(a, b *image.RGBA) bool {
	const margin, tolerance = 2, 24
	d := a.Rect.Size().Sub(b.Rect.Size())
	if a.Rect.Empty() || max(d.X, -d.X, d.Y, -d.Y) > margin {
		return false
	}
	return difference(a, b) <= tolerance
}

// difference is the mean of how much the colours of two pictures differ, in a grid.
func difference(a, b *image.RGBA) int {
	const grid = 6
	sum := 0
	for y := range grid {
		for x := range grid {
			ca, cb := mean(a, x, y, grid), mean(b, x, y, grid)
			for i := range ca {
				sum += max(ca[i]-cb[i], cb[i]-ca[i])
			}
		}
	}
	return sum / (grid * grid * 3)
}

// mean is the colour of one field of a grid over a picture.
func mean(p *image.RGBA, x, y, grid int) (sum [3]int) {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	field := image.Rect(x*w/grid, y*h/grid, (x+1)*w/grid, (y+1)*h/grid)
	for fy := field.Min.Y; fy < field.Max.Y; fy++ {
		for fx := field.Min.X; fx < field.Max.X; fx++ {
			c := p.RGBAAt(p.Rect.Min.X+fx, p.Rect.Min.Y+fy)
			sum[0], sum[1], sum[2] = sum[0]+int(c.R), sum[1]+int(c.G), sum[2]+int(c.B)
		}
	}
	for i := range sum {
		sum[i] /= max(1, field.Dx()*field.Dy())
	}
	return sum
}

// A dot is a part of an icon.
type dot struct {
	at    image.Point
	color [3]int
}

// dots are the opaque pixels of an icon of a size that ours can be shrunk to.
func dots(name icons.Name, size int) ([]dot, error) {
	const drawn = 48
	icon, err := png.Decode(bytes.NewReader(icons.PNG(name, icons.Color, drawn)))
	if err != nil {
		return nil, err
	}
	var found []dot
	for y := range size {
		for x := range size {
			if c, opaque := shrunk(icon, x, y, drawn/size); opaque {
				found = append(found, dot{image.Pt(x, y), c})
			}
		}
	}
	return found, nil
}

// shrunk is the mean colour of what becomes one pixel of an icon, if all of it is opaque.
func shrunk(icon image.Image, atX, atY, side int) (sum [3]int, opaque bool) {
	for y := atY * side; y < (atY+1)*side; y++ {
		for x := atX * side; x < (atX+1)*side; x++ {
			r, g, b, a := icon.At(x, y).RGBA()
			if a != 0xffff {
				return sum, false
			}
			sum[0], sum[1], sum[2] = sum[0]+int(r>>8), sum[1]+int(g>>8), sum[2]+int(b>>8)
		}
	}
	for i := range sum {
		sum[i] /= side * side
	}
	return sum, true
}

// unlikeness is how much the colours of an icon differ from what is on the screen, where
// in an area it is most like it: 0 is the very icon.
func unlikeness(screen *image.RGBA, area image.Rectangle, icon []dot, size int) int {
	least := 255
	for y := area.Min.Y; y <= area.Max.Y-size; y++ {
		for x := area.Min.X; x <= area.Max.X-size; x++ {
			sum, most := 0, least*3*len(icon)
			for _, d := range icon {
				got := screen.RGBAAt(x+d.at.X, y+d.at.Y)
				for i, c := range [...]uint8{got.R, got.G, got.B} {
					sum += max(d.color[i]-int(c), int(c)-d.color[i])
				}
				if sum >= most {
					break
				}
			}
			if sum < most {
				least = sum / (3 * len(icon))
			}
		}
	}
	return least
}
