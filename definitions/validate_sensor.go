package definitions

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
)

func pathEnds(path, end string) bool { return strings.HasSuffix(path, end) }

func (v *validation) sensor(s *sensor) {
	v.trigger(&s.declared, &s.trigger)
	for _, job := range s.targets {
		v.jobOf(&s.declared, "targets", job)
	}
	v.targets(s)
	var allowed []tickSource
	switch s.kind {
	case plan.SensorOfEvents:
		allowed = []tickSource{tickEvents, tickCursor, tickInfo}
	case plan.SensorOfAssets:
		allowed = []tickSource{tickMaterialized, tickCursor, tickInfo}
		v.watched(s)
	case plan.SensorOfRuns:
		allowed = []tickSource{tickRun, tickInfo}
		v.monitored(s)
	}
	v.tickFunction(&s.declared, &s.trigger, "function", s.function, allowed...)
	v.cursor(s)
}

// targets checks that a sensor has some, or says that it needs none.
func (v *validation) targets(s *sensor) {
	switch {
	case s.kind == plan.SensorOfRuns:
	case len(s.targets) == 0 && !s.onlyActs:
		v.add(s.problem("targets", "it has no targets, and may request no runs", "list the jobs that it may request runs of, or say OnlyActs that it requests none"))
	case len(s.targets) > 0 && s.onlyActs:
		v.add(s.problem("targets", "it has targets, and OnlyActs", "leave one of the two out"))
	}
}

func (v *validation) watched(s *sensor) {
	for _, handle := range s.assets {
		switch a := baseOf(handle); {
		case a == nil:
			v.add(s.problem("assets", "it watches an asset handle that was never declared", "declare it with Asset, OptionalAsset, External or Output"))
		case !v.listed[a]:
			v.add(v.unlisted(&s.declared, "assets", &a.declared))
		}
	}
	if s.all && len(once(slices.Clone(assetKeys(s.assets)))) == 1 {
		v.add(s.problem("all", "it has WhenAll, and watches one asset", "leave it out"))
	}
}

func (v *validation) monitored(s *sensor) {
	for _, job := range s.monitored {
		v.jobOf(&s.declared, "monitored_jobs", job)
	}
	if len(s.statuses) == 0 {
		v.add(s.problem("statuses", "it watches no statuses", "list at least one"))
	}
	for _, status := range s.statuses {
		switch status {
		case RunQueued, RunStarting, RunStarted, RunCanceling, RunSucceeded, RunFailed, RunCanceled:
		default:
			v.add(s.problem("statuses", fmt.Sprintf("%q is no status that a run can take", status), "use RunQueued, RunStarting, RunStarted, RunCanceling, RunSucceeded, RunFailed or RunCanceled"))
		}
	}
	for _, name := range s.locations {
		if !nameForm.MatchString(name) || len(name) > maxKeySize {
			v.add(s.problem("monitored_locations", fmt.Sprintf("%q is no name of a location", name), nameFix))
		}
	}
	if s.allLocations && (len(s.monitored) > 0 || len(s.locations) > 0) {
		v.add(s.problem("all_locations", "it has MonitorAll beside jobs or locations", "leave MonitorAll out, or the others"))
	}
}

// tickFunction checks what the function of a schedule or sensor binds.
func (v *validation) tickFunction(d *declared, t *trigger, field string, function bound, allowed ...tickSource) {
	for _, f := range function.faults {
		v.add(d.problem(field, f.message, f.fix))
	}
	if function.remote || function.stepOnly {
		v.add(d.problem(field, "its function is one that only a step can have", "bind a Go function"))
	}
	v.needsListed(d, function.needs)
	names := make([]string, len(allowed))
	for i, source := range allowed {
		names[i] = string(source)
	}
	fix := "bind " + strings.Join(names, ", ") + " and resources"
	for _, n := range function.needs {
		n.each(nil, func(n need) {
			switch n.kind {
			case needInvalid, needResource, needAll, needView, needLiteral, needOrElse:
			case needTick:
				if !slices.Contains(allowed, n.tick) {
					v.add(d.problem(field, fmt.Sprintf("it binds %s, which it does not know", n.describe()), fix))
				}
			case needAsset:
				v.add(d.problem(field, fmt.Sprintf("it binds %s (%s), and only a step loads values", n.asset.object(), n.asset.at), fix))
			case needConfig:
				v.add(d.problem(field, fmt.Sprintf("it binds %s (%s), and only a run has config", n.config.object(), n.config.at), fix))
			default:
				v.add(d.problem(field, fmt.Sprintf("it binds %s, which only a step's function can", n.describe()), fix))
			}
		})
	}
	v.tickResources(d, t, field, function.needs)
}

// tickResources reports resources that cannot be opened: a tick has no run's config.
func (v *validation) tickResources(d *declared, t *trigger, field string, needs []need) {
	configs, problems := t.resourceConfigs(needs)
	v.wire(d, problems.Below("config"))
	seen := map[*resource]bool{}
	for _, r := range resourcesOf(needs) {
		r.eachNeeded(func(r *resource) {
			config := configOf(r.needs)
			if seen[r] || config == nil || len(config.faults) > 0 {
				return
			}
			seen[r] = true
			_, err := config.decode(nil)
			if _, configured := configs[r.name]; err != nil && !configured {
				v.add(d.problem(field, fmt.Sprintf("it binds %s (%s), whose config has required fields, and a tick has no run's config", r.object(), r.at),
					"give it with Configure, or each of its fields a default"))
			}
		})
	}
}

// cursor checks that the cursor and the events that a function takes are those of its sensor, and can be kept and read.
func (v *validation) cursor(s *sensor) {
	var events *payload
	for _, n := range s.function.needs {
		n.each(nil, func(n need) {
			switch {
			case n.kind != needTick:
			case n.tick == tickCursor && n.typ != s.cursor:
				v.add(s.problem("cursor", fmt.Sprintf("it binds %s, and its Tick has a cursor of %s", n.describe(), cursorName(s.cursor)), "give both the same type"))
			case n.tick == tickEvents && events != nil && events != n.payload:
				v.add(s.problem("events", fmt.Sprintf("it binds events of %v and of %v", events.typ, n.payload.typ), "bind one type: fields that not all events have are pointers"))
			case n.tick == tickEvents:
				events = n.payload
			}
		})
	}
	if events != nil {
		for _, f := range events.faults {
			v.add(s.problem(f.field, f.message, f.fix))
		}
	}
	if s.cursor == nil {
		return
	}
	if reason := notJSON(s.cursor, nil); reason != "" {
		v.add(s.problem("cursor", fmt.Sprintf("its cursor is a %v, %s", s.cursor, reason), "use a type that encoding/json writes and reads back"))
	}
}

func cursorName(cursor reflect.Type) string {
	if cursor == nil {
		return "Nothing"
	}
	return cursor.String()
}
