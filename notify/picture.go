package notify

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"

	"immutray.org/icons"
)

// pictureSize is the size in pixels of the pictures that are sent. Daemons show them at 32
// to 64 pixels and scale; at this size one has 16 KiB, which bounds the message.
const pictureSize = 64

// An imageData is a picture as the hint image-data has it, (iiibiiay): rows of pixels of
// four bytes, red, green, blue, alpha, not premultiplied (Desktop Notifications
// Specification 1.2, "Icons and Images").
type imageData struct {
	Width, Height, Stride  int32
	HasAlpha               bool
	BitsPerSample, Samples int32
	Pixels                 []byte
}

// picture returns the picture that an icon's name stands for. It is sent besides the name,
// because a daemon may not find the name: in the practice system, in a container, or with
// programs that were not installed.
func picture(icon string) (imageData, bool) {
	img, err := png.Decode(bytes.NewReader(icons.PNG(icons.Name(icon), icons.Color, pictureSize)))
	if err != nil {
		return imageData{}, false // none of ours; a test of icons holds that ours can be decoded
	}
	b := img.Bounds()
	straight := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(straight, straight.Bounds(), img, b.Min, draw.Src)
	return imageData{
		Width: int32(b.Dx()), Height: int32(b.Dy()), Stride: int32(straight.Stride),
		HasAlpha: true, BitsPerSample: 8, Samples: 4,
		Pixels: straight.Pix,
	}, true
}
