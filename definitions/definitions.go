package definitions

import (
	"slices"
)

// Definitions are everything that one code location defines. Make them with [New] or [Merge]; they do not change
// afterwards.
type Definitions struct {
	location declared
	assets   []*asset
	computes []*compute
	// families are the graph multi-assets.
	families  []*compute
	resources []*resource
	// loggers are those of jobs.
	loggers []*resource
	jobs    []*Job
	// schedules and sensors share one space of names.
	schedules []*ScheduleOf
	sensors   []*sensor
	// opPartitions is how the ops of jobs are sliced.
	opPartitions map[*compute]*partitionSet
}

// Definition is what [New] takes: an *[AssetOf], a *[MultiAssetOf], a *[ResourceOf], a *[Job], a *[ScheduleOf] or a *[SensorOf].
type Definition interface{ definitions() []*declaration }

// declaration is one thing that a Definition declares: one of its fields is set.
type declaration struct {
	asset    *asset
	compute  *compute
	resource *resource
	logger   *resource
	job      *Job
	schedule *ScheduleOf
	sensor   *sensor
}

// New collects the definitions of the code location called name: letters, digits, "_", "." and "-". Everything that
// an asset or an op needs is listed, too: its upstream assets, the resources it binds, and its IO manager. A multi-asset
// brings its outputs, a job its ops and log handlers, a graph asset its ops. A schedule or sensor does not bring its jobs. The order does not matter, and one handle may be listed several times.
//
// New reports no problems, [Definitions.Validate] does.
func New(name string, definitions ...Definition) *Definitions {
	d := &Definitions{location: declared{what: "location", name: name, at: place()}}
	for _, one := range definitions {
		if one == nil {
			d.location.wrong("", "New is given nil", "leave it out")
			continue
		}
		declarations := one.definitions()
		if len(declarations) == 0 {
			d.location.wrong("", "New is given a handle that was never declared", "declare it with Asset, MultiAsset, Resource, AssetJob, OpJob, Schedule or Sensor")
		}
		for _, declaration := range declarations {
			d.add(declaration)
		}
	}
	return d.deduplicated()
}

// Merge puts several definitions together into the code location called name: those of several packages, for
// example. A handle that several of them list is there once; two declarations under one name are a problem.
func Merge(name string, parts ...*Definitions) *Definitions {
	d := &Definitions{location: declared{what: "location", name: name, at: place()}}
	for _, part := range parts {
		if part == nil {
			d.location.wrong("", "Merge is given nil", "leave it out")
			continue
		}
		d.location.faults = append(d.location.faults, part.location.faults...)
		d.assets = append(d.assets, part.assets...)
		d.computes = append(d.computes, part.computes...)
		d.families = append(d.families, part.families...)
		d.resources = append(d.resources, part.resources...)
		d.loggers = append(d.loggers, part.loggers...)
		d.jobs = append(d.jobs, part.jobs...)
		d.schedules = append(d.schedules, part.schedules...)
		d.sensors = append(d.sensors, part.sensors...)
	}
	return d.deduplicated()
}

// Location is the code location's name.
func (d *Definitions) Location() string {
	if d == nil {
		return ""
	}
	return d.location.name
}

func (d *Definitions) add(one *declaration) {
	switch {
	case one.asset != nil:
		d.assets = append(d.assets, one.asset)
		switch maker := one.asset.maker; {
		case maker == nil || maker.multi || maker.family != nil && maker.family.multi != nil:
		case maker.family != nil:
			d.computes = append(d.computes, maker.family.list...)
		default:
			d.computes = append(d.computes, maker)
		}
	case one.compute != nil && one.compute.parts != nil:
		d.families = append(d.families, one.compute)
		d.computes = append(d.computes, one.compute.parts.list...)
		d.assets = append(d.assets, one.compute.outs...)
	case one.compute != nil:
		d.computes = append(d.computes, one.compute)
		d.assets = append(d.assets, one.compute.outs...)
	case one.resource != nil:
		d.resources = append(d.resources, one.resource)
	case one.logger != nil:
		d.loggers = append(d.loggers, one.logger)
	case one.schedule != nil:
		d.schedules = append(d.schedules, one.schedule)
	case one.sensor != nil:
		d.sensors = append(d.sensors, one.sensor)
	case one.job != nil:
		d.jobs = append(d.jobs, one.job)
		for _, n := range one.job.ops {
			d.computes = append(d.computes, n.compute)
		}
	}
}

// deduplicated leaves each handle in once.
func (d *Definitions) deduplicated() *Definitions {
	d.assets = once(d.assets)
	d.computes = once(d.computes)
	d.families = once(d.families)
	d.resources = once(d.resources)
	d.loggers = once(d.loggers)
	d.jobs = once(d.jobs)
	d.schedules = once(d.schedules)
	d.sensors = once(d.sensors)
	d.findOpPartitions()
	return d
}

func once[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(one T) bool {
		doubled := seen[one]
		seen[one] = true
		return doubled
	})
}
