package engine

import (
	"fmt"
	"testing"

	"immutray.org/helper"
)

// What 100 services with mounts of their own cost. The budget is 300 ms for either.
func BenchmarkLockUnlockNamespaces(b *testing.B) {
	for _, number := range []int{0, 100} {
		b.Run(fmt.Sprint(number), func(b *testing.B) {
			f := newFixture(b)
			for range number {
				f.settle("", 0)
			}
			for _, verb := range []helper.Verb{helper.Lock, helper.Unlock} {
				other := map[helper.Verb]helper.Verb{helper.Lock: helper.Unlock, helper.Unlock: helper.Lock}[verb]
				b.Run(string(verb), func(b *testing.B) {
					for range b.N {
						b.StopTimer()
						f.must(other)
						b.StartTimer()
						f.must(verb)
					}
				})
			}
		})
	}
}
