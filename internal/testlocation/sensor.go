package testlocation

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Sensor is a sensor of a Spec, over a job of its own name with "_job" behind it. Its events are numbered from 1, {"n":1}; its cursor is
// the number of the last one, and an event that is out of order fails it.
type Sensor struct {
	Name string `json:"name"`
	// Every is as in definitions; 0 is none.
	Every time.Duration `json:"every,omitempty"`
	// Runs has it request a run for each event, with the event's id as key.
	Runs bool `json:"runs,omitempty"`
}

// NumberedEvent is the payload of an event.
type NumberedEvent struct {
	N int `config:"required"`
}

// SensorKey is by what the function of a sensor is told what to do, and notes that it was called, with the id of its first event as
// partition.
func SensorKey(name string) string { return "sensor " + name }

func (s Sensor) declare(controls Controls) []definitions.Definition {
	job := definitions.AssetJob(s.Name+"_job", definitions.Select("*"))
	f := &sensorFunction{sensor: s, job: job, controls: controls}
	options := []definitions.SensorOption{definitions.DefaultRunning{}}
	if s.Every > 0 {
		options = append(options, definitions.Every(s.Every))
	}
	return []definitions.Definition{job, definitions.Sensor(s.Name, []*definitions.Job{job},
		definitions.Bind2(f.evaluate, definitions.Events[NumberedEvent](), definitions.CursorOf[int]()), options...)}
}

// sensorFunction is the function of a sensor.
type sensorFunction struct {
	sensor   Sensor
	job      *definitions.Job
	controls Controls
	calls    atomic.Int64
}

func (f *sensorFunction) evaluate(ctx definitions.Context, events []definitions.Event[NumberedEvent], last int) (definitions.Tick[int], error) {
	note := Note{
		What: Called, Asset: SensorKey(f.sensor.Name), Attempt: 1, Call: fmt.Sprintf("%s:%d:%d", f.sensor.Name, os.Getpid(), f.calls.Add(1)),
	}
	if len(events) > 0 {
		note.Partition = events[0].ID
	}
	if err := f.controls.write(note); err != nil {
		return definitions.Tick[int]{}, err
	}
	instruction, err := f.controls.wait(ctx, note, func(i Instruction) bool { return i.Hold })
	switch {
	case err != nil:
		return definitions.Tick[int]{}, err
	case instruction.Kill:
		return definitions.Tick[int]{}, kill()
	case instruction.FailAll:
		return definitions.Tick[int]{}, errInstructed
	}
	tick := definitions.Tick[int]{}
	for _, event := range events {
		if event.Payload.N != last+1 {
			return tick, fmt.Errorf("event %s comes after event %d", event.ID, last)
		}
		last++
		if f.sensor.Runs {
			tick.Runs = append(tick.Runs, f.job.Request(definitions.RunKey(event.ID)))
		}
	}
	tick.Cursor = last
	return tick, nil
}
