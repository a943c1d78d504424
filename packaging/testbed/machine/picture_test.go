package machine

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"
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

func TestDecodePPM(t *testing.T) {
	// A pixel may have the bytes of a line's end.
	picture, err := decodePPM([]byte("P6\n2 1\n255\n\n\n\nabc"))
	if err != nil {
		t.Fatal(err)
	}
	if got := picture.Bounds().Size(); got.X != 2 || got.Y != 1 {
		t.Fatalf("the picture has %v pixels, want 2 by 1", got)
	}
	for x, want := range []color.RGBA{{10, 10, 10, 255}, {'a', 'b', 'c', 255}} {
		if got := picture.RGBAAt(x, 0); got != want {
			t.Errorf("pixel %d is %v, want %v", x, got, want)
		}
	}
	for _, bad := range []string{"", "P6", "P5\n2 1\n255\nabcdef", "P6\n2 1\n255\nabcde", "P6\n2 1\n65535\nabcdefabcdef", "P6\n-2 -1\n255\nabcdef", "P6\nx 1\n255\nabc", "P6\n0 0\n255\n"} {
		if _, err := decodePPM([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "cannot read a picture: ") {
			t.Errorf("%q: %v, want an error", bad, err)
		}
	}
}
