package desktop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// xwdVersion is the only version of the X window dump that there is (X11/XWDFile.h).
const xwdVersion = 7

// The fields of an X window dump's header that matter here, as indexes of its
// 32-bit words in big-endian order (X11/XWDFile.h):
//
//	0 header size  1 version  4 width  5 height  7 byte order  11 bits per pixel
//	12 bytes per line  19 number of colours
const (
	xwdHeaderSize   = 0
	xwdFileVersion  = 1
	xwdWidth        = 4
	xwdHeight       = 5
	xwdByteOrder    = 7
	xwdBitsPerPixel = 11
	xwdBytesPerLine = 12
	xwdColors       = 19
	xwdWords        = 25
	xwdColorSize    = 12
)

// parseXWD reads an X window dump of 32 bits per pixel, as Xvfb keeps its screen.
func parseXWD(data []byte) (*image.RGBA, error) {
	if len(data) < xwdWords*4 {
		return nil, fmt.Errorf("an X window dump of %d bytes is too short", len(data))
	}
	word := func(i int) int { return int(binary.BigEndian.Uint32(data[4*i:])) }
	if word(xwdFileVersion) != xwdVersion || word(xwdBitsPerPixel) != 32 || word(xwdByteOrder) != 0 {
		return nil, fmt.Errorf("not an X window dump of 32 bits per pixel, least significant byte first")
	}
	width, height, stride := word(xwdWidth), word(xwdHeight), word(xwdBytesPerLine)
	start := word(xwdHeaderSize) + word(xwdColors)*xwdColorSize
	if width <= 0 || height <= 0 || stride < width*4 || start < 0 || start+stride*height > len(data) {
		return nil, fmt.Errorf("an X window dump of %d×%d does not fit in %d bytes", width, height, len(data))
	}
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		row, pixels := data[start+y*stride:], picture.Pix[y*picture.Stride:]
		for i := 0; i < 4*width; i += 4 {
			pixels[i], pixels[i+1], pixels[i+2], pixels[i+3] = row[i+2], row[i+1], row[i], 0xff
		}
	}
	return picture, nil
}

// screenFile is where Xvfb keeps the pixels of its first screen in the directory
// given with -fbdir (Xvfb(1)).
const screenFile = "Xvfb_screen0"

// Screenshot returns what is on the screen. The picture is not to be changed: as long as
// nothing moves on the screen it is the same one.
func (s *Session) Screenshot() (*image.RGBA, error) {
	picture, err := s.camera.take(filepath.Join(s.frameBuffer, screenFile))
	if err != nil {
		return nil, fmt.Errorf("cannot take a picture of the screen: %w", err)
	}
	return picture, nil
}

// A camera takes pictures of a screen. A program that waits takes one after another, so the
// camera makes a new one only if the screen has changed.
type camera struct {
	mu      sync.Mutex
	dump    []byte // of the picture
	next    []byte
	picture *image.RGBA
}

func (c *camera) take(file string) (*image.RGBA, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.read(file); err != nil {
		return nil, err
	}
	if c.picture != nil && bytes.Equal(c.next, c.dump) {
		return c.picture, nil
	}
	picture, err := parseXWD(c.next)
	if err != nil {
		return nil, err
	}
	c.picture, c.dump, c.next = picture, c.next, c.dump
	return picture, nil
}

func (c *camera) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if int64(len(c.next)) != info.Size() {
		c.next = make([]byte, info.Size())
	}
	_, err = io.ReadFull(f, c.next)
	return err
}

// Save writes a picture as PNG.
func Save(picture image.Image, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, picture); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// still is for how long nothing may move for the screen to count as settled.
const still = 400 * time.Millisecond

// Settled returns the screen as soon as nothing on it has moved for a moment: menus
// and notifications fade in, and toolkits draw their windows in several steps.
func (s *Session) Settled() (*image.RGBA, error) {
	last, err := s.Screenshot()
	if err != nil {
		return nil, err
	}
	since := time.Now()
	err = s.WaitFor("the screen to settle", func() (bool, error) {
		now, err := s.Screenshot()
		if err != nil {
			return false, err
		}
		if !Same(last, now) {
			last, since = now, time.Now()
		}
		return time.Since(since) >= still && painted(now), nil
	})
	return last, err
}

// painted reports whether every window has drawn itself. Before that it is black,
// with GTK 4 for a second or more; nothing else is, but a pointer and some letters.
func painted(screen *image.RGBA) bool {
	black := 0
	for i := 0; i < len(screen.Pix); i += 4 {
		if screen.Pix[i] == 0 && screen.Pix[i+1] == 0 && screen.Pix[i+2] == 0 {
			black++
		}
	}
	return black < len(screen.Pix)/4/50
}

// Same reports whether two pictures of the same size have the same pixels.
func Same(a, b *image.RGBA) bool {
	if a.Bounds().Size() != b.Bounds().Size() {
		return false
	}
	if whole := 4 * a.Rect.Dx(); a.Stride == whole && b.Stride == whole {
		return a == b || bytes.Equal(a.Pix, b.Pix)
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if a.RGBAAt(a.Rect.Min.X+x, a.Rect.Min.Y+y) != b.RGBAAt(b.Rect.Min.X+x, b.Rect.Min.Y+y) {
				return false
			}
		}
	}
	return true
}

// Crop returns a copy of a part of a picture.
func Crop(picture *image.RGBA, r image.Rectangle) *image.RGBA {
	r = r.Intersect(picture.Rect)
	part := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	for y := range r.Dy() {
		for x := range r.Dx() {
			part.SetRGBA(x, y, picture.RGBAAt(r.Min.X+x, r.Min.Y+y))
		}
	}
	return part
}
