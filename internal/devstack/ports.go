package devstack

import (
	"fmt"
	"net"
	"strconv"
)

// host is where every part listens: the local stack is nobody else's.
const host = "127.0.0.1"

// port is one port's wishes, in the order in which they count.
type port struct {
	name       string // for messages and, as an option, for the fix
	asked      int    // the caller's: must be free
	remembered int    // the last start's in this folder
	usual      int    // what people expect; 0 means any free one
}

// choose returns a port that is free and not among taken, and adds it to taken.
func (p port) choose(taken map[int]bool) (int, error) {
	if p.asked != 0 {
		if taken[p.asked] || !isFree(p.asked) {
			return 0, fmt.Errorf("port %d for %s is taken: choose another one, or 0 for any that is free", p.asked, p.name)
		}
		taken[p.asked] = true
		return p.asked, nil
	}
	for _, candidate := range []int{p.remembered, p.usual} {
		if candidate != 0 && !taken[candidate] && isFree(candidate) {
			taken[candidate] = true
			return candidate, nil
		}
	}
	for {
		candidate, err := anyFree()
		if err != nil {
			return 0, fmt.Errorf("find a free port for %s: %w", p.name, err)
		}
		if !taken[candidate] {
			taken[candidate] = true
			return candidate, nil
		}
	}
}

func isFree(number int) bool {
	listener, err := net.Listen("tcp", address(number))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func anyFree() (int, error) {
	listener, err := net.Listen("tcp", address(0))
	if err != nil {
		return 0, err
	}
	number := listener.Addr().(*net.TCPAddr).Port
	return number, listener.Close()
}

func address(number int) string { return net.JoinHostPort(host, strconv.Itoa(number)) }
