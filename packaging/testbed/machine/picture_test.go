package machine

import (
	"bytes"
	"fmt"
	"image"
)

// decodePPM reads a picture as QEMU writes it (ppm(5): three lines of text, and the
// pixels, in three bytes each).
func decodePPM(data []byte) (*image.RGBA, error) {
	parts := bytes.SplitN(data, []byte("\n"), 4)
	if len(parts) < 4 || string(parts[0]) != "P6" || string(parts[2]) != "255" {
		return nil, fmt.Errorf("cannot read a picture: it begins with %q", data[:min(len(data), 16)])
	}
	var width, height int
	if _, err := fmt.Sscanf(string(parts[1]), "%d %d", &width, &height); err != nil {
		return nil, fmt.Errorf("cannot read a picture: its size is %q: %w", parts[1], err)
	}
	pixels := parts[3]
	if width <= 0 || height <= 0 || len(pixels) != 3*width*height {
		return nil, fmt.Errorf("cannot read a picture: %d by %d pixels in %d bytes", width, height, len(pixels))
	}
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		copy(picture.Pix[4*i:], pixels[3*i:3*i+3])
		picture.Pix[4*i+3] = 0xff
	}
	return picture, nil
}
