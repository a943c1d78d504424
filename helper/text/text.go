// Package text writes the words that Immutray's programs have in common: names from
// outside made safe to show, long ones made short, times and durations, sentences.
//
// Whatever other users can choose, such as the name of a file, of a program or of a unit,
// goes through [Visible] or [Quote] on its way to a person. The package imports nothing of
// Immutray's.
package text
