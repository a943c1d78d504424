package machine

import (
	"image/color"
	"strings"
	"testing"
)

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
