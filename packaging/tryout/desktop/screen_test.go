package desktop

import (
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"
	"testing"
)

// dump is an X window dump as Xvfb writes it, with 256 unused colours and lines
// longer than the picture is wide.
func dump(width, height int) []byte {
	const headerSize, colors = 160, 256
	stride := width*4 + 8
	data := make([]byte, headerSize+colors*xwdColorSize+stride*height)
	for i, value := range map[int]int{
		xwdHeaderSize: headerSize, xwdFileVersion: xwdVersion, xwdWidth: width, xwdHeight: height,
		xwdBitsPerPixel: 32, xwdBytesPerLine: stride, xwdColors: colors,
	} {
		binary.BigEndian.PutUint32(data[4*i:], uint32(value))
	}
	last := headerSize + colors*xwdColorSize + (height-1)*stride + (width-1)*4
	copy(data[last:], []byte{0x30, 0x20, 0x10})
	return data
}

func TestScreenshotFollowsTheScreen(t *testing.T) {
	s := &Session{frameBuffer: t.TempDir()}
	file := filepath.Join(s.frameBuffer, screenFile)
	take := func(data []byte) *image.RGBA {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		picture, err := s.Screenshot()
		if err != nil {
			t.Fatal(err)
		}
		return picture
	}
	black, colored := dump(5, 3), dump(5, 3)
	copy(black[len(black)-8-4:], []byte{0, 0, 0})
	first := take(black)
	if take(black) != first {
		t.Error("of a screen on which nothing moves there is a second picture")
	}
	second, third := take(colored), take(black)
	if Same(first, second) || Same(second, third) || !Same(first, third) {
		t.Errorf("the last pixels are %v, %v, %v, want the second to be another", first.RGBAAt(4, 2), second.RGBAAt(4, 2), third.RGBAAt(4, 2))
	}
	if larger := take(dump(6, 3)); larger.Rect.Dx() != 6 {
		t.Errorf("a larger screen gives %v", larger.Rect)
	}
	if err := os.Truncate(file, 60); err != nil {
		t.Fatal(err)
	}
	if picture, err := s.Screenshot(); err == nil {
		t.Errorf("half a screen gives %v", picture.Rect)
	}
}

func screenWith(background color.Color, icon image.Rectangle) *image.RGBA {
	screen := image.NewRGBA(image.Rect(0, 0, Width, Height))
	draw.Draw(screen, screen.Rect, image.Black, image.Point{}, draw.Src)
	draw.Draw(screen, image.Rect(0, 0, Width, panelHeight), image.NewUniform(background), image.Point{}, draw.Src)
	draw.Draw(screen, image.Rect(10, 8, 200, 24), image.White, image.Point{}, draw.Src) // the clock
	draw.Draw(screen, icon, image.White, image.Point{}, draw.Src)
	return screen
}

func TestIconPlace(t *testing.T) {
	icon := image.Rect(Width-30, 5, Width-8, 27)
	if got := IconPlace(screenWith(panelColor(), icon)); got != icon {
		t.Errorf("IconPlace(panel with icon) = %v, want %v", got, icon)
	}
	if got := IconPlace(screenWith(panelColor(), image.Rectangle{})); !got.Empty() {
		t.Errorf("IconPlace(empty panel) = %v, want none", got)
	}
	if got := IconPlace(screenWith(color.Black, icon)); !got.Empty() {
		t.Errorf("IconPlace(no panel) = %v, want none", got)
	}
}

func TestIsEmpty(t *testing.T) {
	screen := screenWith(panelColor(), image.Rect(Width-30, 5, Width-8, 27))
	screen.Set(20, Height-20, color.White) // the parked pointer
	if !isEmpty(screen) {
		t.Error("a panel and a pointer count as something")
	}
	screen.Set(Width-100, Height-100, color.White)
	if isEmpty(screen) {
		t.Error("a notification counts as nothing")
	}
}

func TestSame(t *testing.T) {
	a, b := screenWith(panelColor(), image.Rectangle{}), screenWith(panelColor(), image.Rectangle{})
	if !Same(a, b) {
		t.Error("equal pictures are not the same")
	}
	b.SetRGBA(Width-1, Height-1, color.RGBA{A: 0xff, R: 1})
	if Same(a, b) {
		t.Error("pictures that differ in one pixel are the same")
	}
	if Same(a, Crop(a, image.Rect(0, 0, 5, 5))) {
		t.Error("pictures of different sizes are the same")
	}
}
