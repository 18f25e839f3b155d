package process

import "time"

const (
	canMeasure      = false
	measureInterval = time.Second
)

func (g *group) memory() int64 { return 0 }
