// Package icons holds the pictures of the padlock, as PNG: one for each state that
// the tray shows, in two styles and in the sizes that panels use, and the
// application's own icon.
//
// They are rendered from the drawings in svg/ by render.sh. Their names are also
// the names under which they are installed into the hicolor icon theme.
package icons

import (
	"embed"
	"fmt"
)

// A Name says what a picture shows, and is its name in the icon theme.
type Name string

// The names. Application has the style Color only.
const (
	Application  Name = "immutray"               // the padlock in its tray: menus, dialogs
	Locked       Name = "immutray-locked"        // a closed padlock
	Unlocked     Name = "immutray-unlocked"      // an open padlock, in a warning colour
	PartlyLocked Name = "immutray-partly-locked" // a closed padlock with an exclamation mark
	Working      Name = "immutray-working"       // an hourglass
	Unknown      Name = "immutray-unknown"       // a question mark
)

// A Style is a way of drawing the states.
type Style string

// The styles.
const (
	Color    Style = "color"
	Symbolic Style = "symbolic" // shapes of one grey, seen on dark panels and on light ones
)

// Symbolic is the name in the icon theme of the drawing that toolkits recolour to fit the
// panel. There is one of every state.
func (n Name) Symbolic() Name { return n + "-symbolic" }

// Sizes lists the sizes in pixels, from small to large.
func Sizes() []int { return []int{16, 22, 24, 32, 48, 64} }

//go:embed png
var files embed.FS

// PNG returns a picture, or nil if there is none of that name, style and size.
func PNG(name Name, style Style, size int) []byte {
	data, err := files.ReadFile(fmt.Sprintf("png/%s/%d/%s.png", style, size, name))
	if err != nil {
		return nil
	}
	return data
}
