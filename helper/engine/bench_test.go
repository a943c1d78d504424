package engine

import (
	"fmt"
	"testing"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
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

// What 5,000 other mounts cost, as on a host of containers. The budget is 100 ms for a lock
// and an unlock together. On a busy machine with two cores they take 93 ms of processor time,
// and took 609 ms when the whole mount table was read for each look at a mount; half of it is
// the search for islands, which needs the whole table once for each.
func BenchmarkLockUnlockMounts(b *testing.B) {
	for _, number := range []int{30, lab.ManyMounts} {
		b.Run(fmt.Sprint(number), func(b *testing.B) {
			f := newFixture(b)
			lab.MountMany(b, number)
			for b.Loop() {
				f.must(helper.Lock)
				f.must(helper.Unlock)
			}
		})
	}
}
