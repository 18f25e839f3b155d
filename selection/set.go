package selection

import (
	"iter"
	"math/bits"
)

// set holds positions in an index, one bit each: 10,000 assets are 1.25 KB, so that an expression
// of thousands of parts stays cheap.
type set []uint64

func newSet(size int) set { return make(set, (size+63)/64) }

func (s set) add(position int)      { s[position/64] |= 1 << (position % 64) }
func (s set) has(position int) bool { return s[position/64]&(1<<(position%64)) != 0 }

func (s set) unite(other set) {
	for i, word := range other {
		s[i] |= word
	}
}

func (s set) intersect(other set) {
	for i, word := range other {
		s[i] &= word
	}
}

func (s set) subtract(other set) {
	for i, word := range other {
		s[i] &^= word
	}
}

// all yields the positions in ascending order.
func (s set) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(i*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
