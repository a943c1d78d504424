package desktop

import (
	"fmt"
	"image"
	"image/color"
)

// The panel's geometry and colour are this package's choice (see config.go), so
// that what is drawn on it can be told from it.
const (
	panelHeight = 32
	trayIcon    = 22
)

func panelColor() color.RGBA { return color.RGBA{R: 0x2b, G: 0x30, B: 0x3b, A: 0xff} }

// IconPlace returns where in the picture the tray's icons are: in the right half
// of the panel there is nothing else. It is empty when there are none, or no panel.
func IconPlace(screen *image.RGBA) image.Rectangle {
	strip := image.Rect(screen.Rect.Dx()/2, 0, screen.Rect.Dx(), panelHeight)
	background := 0
	var place image.Rectangle
	for y := strip.Min.Y; y < strip.Max.Y; y++ {
		for x := strip.Min.X; x < strip.Max.X; x++ {
			if near(screen.RGBAAt(x, y), panelColor()) {
				background++
				continue
			}
			place = place.Union(image.Rect(x, y, x+1, y+1))
		}
	}
	// Where there is no panel, everything differs from it.
	if background < strip.Dx()*strip.Dy()/2 {
		return image.Rectangle{}
	}
	return place
}

func near(a, b color.RGBA) bool {
	const tolerance = 6
	for _, d := range [...]int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		if d < -tolerance || d > tolerance {
			return false
		}
	}
	return true
}

// WaitForEmpty waits until there is nothing on the screen but the panel and the pointer, or
// until there is something: a menu, a window or a notification.
func (s *Session) WaitForEmpty(empty bool) error {
	return s.WaitFor(fmt.Sprintf("the desktop to be empty: %v", empty), func() (bool, error) {
		screen, err := s.Screenshot()
		return err == nil && isEmpty(screen) == empty, err
	})
}

// isEmpty looks at the right half, where windows, menus and notifications reach, and the parked
// pointer does not.
func isEmpty(screen *image.RGBA) bool {
	first := screen.RGBAAt(screen.Rect.Max.X-1, panelHeight)
	for y := panelHeight; y < screen.Rect.Max.Y; y++ {
		for x := screen.Rect.Dx() / 2; x < screen.Rect.Max.X; x++ {
			if screen.RGBAAt(x, y) != first {
				return false
			}
		}
	}
	return true
}

// Icon waits until the tray shows an icon, and returns its place and its picture.
func (s *Session) Icon() (place image.Rectangle, picture *image.RGBA, err error) {
	err = s.WaitFor("an icon in the panel", func() (bool, error) {
		screen, err := s.Screenshot()
		if err != nil {
			return false, err
		}
		place = IconPlace(screen)
		picture = Crop(screen, place)
		return !place.Empty(), nil
	})
	return place, picture, err
}
