package tray

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"

	"immutray.org/icons"
)

// A pixmap is a picture as StatusNotifierItem has it, (iiay): width, height, and
// rows of pixels of four bytes, alpha, red, green, blue, not premultiplied.
type pixmap struct {
	Width, Height int32
	Pixels        []byte
}

// maxPixmap is the largest size that is sent. Hosts scale; and godbus writes and reads
// an array byte by byte, which for the picture of 64 pixels takes as long as for all
// the others together.
const maxPixmap = 48

// pixmaps returns a picture in the sizes that panels have.
func pixmaps(name icons.Name, style icons.Style) []pixmap {
	var all []pixmap
	for _, size := range icons.Sizes() {
		if size > maxPixmap {
			continue
		}
		img, err := png.Decode(bytes.NewReader(icons.PNG(name, style, size)))
		if err != nil {
			continue // a test of icons holds that it does not happen
		}
		all = append(all, newPixmap(img))
	}
	return all
}

func newPixmap(img image.Image) pixmap {
	b := img.Bounds()
	straight := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(straight, straight.Bounds(), img, b.Min, draw.Src)
	p := pixmap{int32(b.Dx()), int32(b.Dy()), make([]byte, 0, 4*b.Dx()*b.Dy())}
	for i := 0; i < len(straight.Pix); i += 4 {
		rgba := straight.Pix[i : i+4]
		p.Pixels = append(p.Pixels, rgba[3], rgba[0], rgba[1], rgba[2])
	}
	return p
}
