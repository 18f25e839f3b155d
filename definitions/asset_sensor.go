package definitions

import (
	"time"

	"github.com/perdure-io/perdure/plan"
)

// AssetSensor declares a sensor that is called when one of the assets was materialized, or reported as materialized, by whatever
// run of whatever location. Its function may bind [NewMaterializations], [CursorOf], [TheTick] and resources; for the rest see
// [Sensor]. It is given all that is new in one call, 1,000 materializations at most, and begins with the newest one of each asset: what
// was there before it was started for the first time. When its function fails it is given the same again, with what came since.
func AssetSensor[C any](name string, watched []AnyAsset, targets []*Job, fn Compute[Tick[C]], opts ...AssetSensorOption) *SensorOf[C] {
	s := newSensor(name, plan.SensorOfAssets, targets, fn)
	s.assets = watched
	if len(watched) == 0 {
		s.wrong("assets", "it watches no assets", "list at least one")
	}
	for _, o := range opts {
		if o == nil {
			s.nilOption()
			continue
		}
		o.applyAssetSensor(s)
	}
	return &SensorOf[C]{s}
}

// WhenAll has an asset sensor wait until each of its assets has something new; then it is given that, the newest 25 of each asset at
// most. Without it, one is enough.
type WhenAll struct{}

func (WhenAll) applyAssetSensor(s *sensor) { s.all = true }

// Materialization is a materialization that an asset sensor has seen.
type Materialization struct {
	// Position is that in the event log: greater ones are later.
	Position int64
	At       time.Time
	// Asset is its key; Partition is "" of an asset that is not partitioned.
	Asset, Partition string
	// Run and Step made it; "" when it was reported.
	Run, Step string
	// Cause is the id of the event that led to it.
	Cause       string
	Metadata    []Metadatum
	DataVersion string
}

// NewMaterializations is what an [AssetSensor] has seen since its last tick, in order. Bound elsewhere it is a problem.
var NewMaterializations Source[[]Materialization] = newMaterializations{}

type newMaterializations struct{}

func (newMaterializations) carries([]Materialization) {}
func (m newMaterializations) need() need              { return need{kind: needTick, id: m, tick: tickMaterialized} }

func (newMaterializations) load(s *scope) ([]Materialization, error) {
	if s.tick == nil {
		return nil, errNoTick
	}
	seen := make([]Materialization, len(s.tick.Records))
	for i, r := range s.tick.Records {
		seen[i] = Materialization{
			Position: r.Position, At: r.At, Asset: r.Asset, Partition: r.Partition, Run: r.RunID, Step: r.Step, Cause: r.Cause,
			Metadata: raiseMetadata(r.Metadata), DataVersion: r.DataVersion,
		}
	}
	return seen, nil
}
