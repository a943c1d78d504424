//go:build race

package tray

// raceDetector is whether the tests have the race detector, which takes memory of its own.
const raceDetector = true
