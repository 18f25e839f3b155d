package definitions

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// trigger is what schedules and sensors have in common.
type trigger struct {
	description string
	tags        map[string]string
	owners      []string
	metadata    []Metadatum
	running     bool
	timeout     Timeout
	// configured is for the resources that its function binds.
	configured []configured
	options    optionNames
}

// defaultEvaluation bounds an evaluation that has no Timeout.
const defaultEvaluation = time.Minute

// bounds is how long one evaluation may take.
func (t *trigger) bounds() time.Duration {
	if t.timeout > 0 {
		return t.timeout.duration()
	}
	return defaultEvaluation
}

// DefaultRunning has a schedule or sensor run from its first deploy on, until a person stops it. Without it, it is stopped until a
// person starts it.
type DefaultRunning struct{}

func (v Description) applyTrigger(d *declared, t *trigger) {
	t.options.once(d, "description", optionDescription)
	t.description = string(v)
}

func (v Tags) applyTrigger(d *declared, t *trigger) {
	t.options.once(d, "tags", optionTags)
	t.tags = v
}

func (v Owners) applyTrigger(d *declared, t *trigger) {
	t.options.once(d, "owners", optionOwners)
	t.owners = v
}

func (v Metadata) applyTrigger(d *declared, t *trigger) {
	t.options.once(d, "metadata", optionMetadata)
	t.metadata = v
}

func (v Timeout) applyTrigger(d *declared, t *trigger) {
	t.options.once(d, "timeout", optionTimeout)
	t.timeout = v
	if v <= 0 {
		d.wrong("timeout", "the timeout is "+v.duration().String(), "set a positive duration, or leave Timeout out for a minute")
	}
}

func (c configured) applyTrigger(d *declared, t *trigger) {
	if c.config == nil {
		d.wrong("config", "Configure names a config handle that was never declared", "declare it with Config")
		return
	}
	t.configured = append(t.configured, c)
}

func (c configured) applySchedule(s *ScheduleOf) { c.applyTrigger(&s.declared, &s.trigger) }
func (c configured) applySensor(s *sensor)       { c.applyTrigger(&s.declared, &s.trigger) }
func (c configured) applyAssetSensor(s *sensor)  { c.applySensor(s) }
func (c configured) applyRunSensor(s *sensor)    { c.applySensor(s) }

// resourceConfigs are the configs of the resources that a function binds, by name; the problems are paths below "config".
func (t *trigger) resourceConfigs(needs []need) (map[string]json.RawMessage, wire.Problems) {
	configs := map[string]json.RawMessage{}
	var problems wire.Problems
	for _, c := range t.configured {
		value, err := c.encoded()
		if err != nil {
			if wrong := wire.ProblemsOf(err); wrong != nil {
				problems = append(problems, wrong...)
			} else {
				problems = append(problems, wire.Problem{Code: wire.CodeInvalid, Message: err.Error(), Fix: "use values that JSON has"})
			}
			continue
		}
		found := false
		for _, r := range resourcesOf(needs) {
			r.eachNeeded(func(r *resource) {
				if configOf(r.needs) != c.config {
					return
				}
				if _, doubled := configs[r.name]; doubled && !found {
					problems = append(problems, wire.Problem{Code: wire.CodeConflict, Message: fmt.Sprintf("%s is configured twice", r.object()), Fix: "configure it once"})
				}
				found = true
				configs[r.name] = value
			})
		}
		if !found {
			problems = append(problems, wire.Problem{
				Code: wire.CodeUnknown, Message: fmt.Sprintf("no resource that its function binds takes the config %s (%s)", c.config.name, c.config.at), Fix: "bind it, or leave Configure out",
			})
		}
	}
	return configs, problems
}

func (DefaultRunning) applyTrigger(_ *declared, t *trigger) { t.running = true }

func (v Description) applySchedule(s *ScheduleOf)    { v.applyTrigger(&s.declared, &s.trigger) }
func (v Tags) applySchedule(s *ScheduleOf)           { v.applyTrigger(&s.declared, &s.trigger) }
func (v Owners) applySchedule(s *ScheduleOf)         { v.applyTrigger(&s.declared, &s.trigger) }
func (v Metadata) applySchedule(s *ScheduleOf)       { v.applyTrigger(&s.declared, &s.trigger) }
func (v Timeout) applySchedule(s *ScheduleOf)        { v.applyTrigger(&s.declared, &s.trigger) }
func (v DefaultRunning) applySchedule(s *ScheduleOf) { v.applyTrigger(&s.declared, &s.trigger) }

func (v Description) applyPartitionedSchedule(s *ScheduleOf)    { v.applySchedule(s) }
func (v Tags) applyPartitionedSchedule(s *ScheduleOf)           { v.applySchedule(s) }
func (v Owners) applyPartitionedSchedule(s *ScheduleOf)         { v.applySchedule(s) }
func (v Metadata) applyPartitionedSchedule(s *ScheduleOf)       { v.applySchedule(s) }
func (v DefaultRunning) applyPartitionedSchedule(s *ScheduleOf) { v.applySchedule(s) }

func (v Description) applySensor(s *sensor)    { v.applyTrigger(&s.declared, &s.trigger) }
func (v Tags) applySensor(s *sensor)           { v.applyTrigger(&s.declared, &s.trigger) }
func (v Owners) applySensor(s *sensor)         { v.applyTrigger(&s.declared, &s.trigger) }
func (v Metadata) applySensor(s *sensor)       { v.applyTrigger(&s.declared, &s.trigger) }
func (v Timeout) applySensor(s *sensor)        { v.applyTrigger(&s.declared, &s.trigger) }
func (v DefaultRunning) applySensor(s *sensor) { v.applyTrigger(&s.declared, &s.trigger) }

func (v Description) applyAssetSensor(s *sensor)    { v.applySensor(s) }
func (v Tags) applyAssetSensor(s *sensor)           { v.applySensor(s) }
func (v Owners) applyAssetSensor(s *sensor)         { v.applySensor(s) }
func (v Metadata) applyAssetSensor(s *sensor)       { v.applySensor(s) }
func (v Timeout) applyAssetSensor(s *sensor)        { v.applySensor(s) }
func (v DefaultRunning) applyAssetSensor(s *sensor) { v.applySensor(s) }

func (v Description) applyRunSensor(s *sensor)    { v.applySensor(s) }
func (v Tags) applyRunSensor(s *sensor)           { v.applySensor(s) }
func (v Owners) applyRunSensor(s *sensor)         { v.applySensor(s) }
func (v Metadata) applyRunSensor(s *sensor)       { v.applySensor(s) }
func (v Timeout) applyRunSensor(s *sensor)        { v.applySensor(s) }
func (v DefaultRunning) applyRunSensor(s *sensor) { v.applySensor(s) }
