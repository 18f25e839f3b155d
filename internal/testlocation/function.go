package testlocation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// pollInterval is how often something that is held looks whether it still is.
const pollInterval = 10 * time.Millisecond

// function is an asset's function.
type function struct {
	asset    string
	controls Controls
	calls    atomic.Int64
}

var errInstructed = errors.New("failed as it was told to")

func (f *function) call(ctx definitions.Context, inputs []Value) (Value, error) {
	return f.make(ctx, "", inputs)
}

func (f *function) make(ctx definitions.Context, partition string, inputs []Value) (Value, error) {
	note := Note{
		Partition: partition,
		Asset:     f.asset, Run: ctx.Run().ID, Attempt: ctx.Run().Attempt,
		Call: fmt.Sprintf("%s:%d:%d", f.asset, os.Getpid(), f.calls.Add(1)) + ":" + strconv.FormatInt(time.Now().UnixNano(), 36),
	}
	note.What = Called
	if err := f.controls.write(note); err != nil {
		return Value{}, err
	}
	instruction, err := f.controls.readOf(f.asset, partition)
	if err != nil {
		return Value{}, err
	}
	if instruction.Litter {
		if err := exec.Command("sleep", "3600").Start(); err != nil { //nolint:noctx // nobody ends it, which is the point
			return Value{}, err
		}
	}
	if instruction.Takes > 0 {
		select {
		case <-time.After(instruction.Takes):
		case <-ctx.Done():
			return Value{}, f.controls.stopped(ctx, note, Stopped)
		}
	}
	instruction, err = f.controls.wait(ctx, note, func(i Instruction) bool { return i.Hold })
	if err != nil {
		return Value{}, err
	}
	switch {
	case instruction.Kill:
		return Value{}, kill()
	case instruction.Panic:
		panic("as it was told to")
	case instruction.FailAll, slices.Contains(instruction.FailAttempts, note.Attempt):
		return Value{}, errInstructed
	}
	return valueOf(f.asset, partition, note.Call, inputs), nil
}

// wait returns when the asset's instruction no longer holds, or when ctx has ended, unless it is deaf.
func (c Controls) wait(ctx context.Context, note Note, holds func(Instruction) bool) (Instruction, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	done := ctx.Done()
	for {
		instruction, err := c.readOf(note.Asset, note.Partition)
		if err != nil || !holds(instruction) {
			return instruction, err
		}
		select {
		case <-ticker.C:
		case <-done:
			if !instruction.Deaf {
				return instruction, c.stopped(ctx, note, Stopped)
			}
			done = nil
			if err := c.ended(ctx, note, Ignored); err != nil {
				return instruction, err
			}
		}
	}
}

// stopped notes that the context has ended, and returns why.
func (c Controls) stopped(ctx context.Context, note Note, what string) error {
	if err := c.ended(ctx, note, what); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (c Controls) ended(ctx context.Context, note Note, what string) error {
	note.What, note.Cause = what, context.Cause(ctx).Error()
	return c.write(note)
}

// kill ends this process at once.
func kill() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {} // the signal is on its way
}
