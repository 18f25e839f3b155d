package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Every id and queue name of Perdure is made in this file, and never parsed back.
//
// A name's parts are joined by ":". Inside a part, characters outside [A-Za-z0-9._~|-] become "_"
// and a short hash of the whole part is added, so that two parts never meet in one name. No name
// holds a "/": Temporal's HTTP API answers 404 for ids that do.

// DefaultDeployment is the deployment whose names carry no prefix.
const DefaultDeployment = "default"

const (
	maxName     = 200 // bytes; Temporal on SQL keeps 255
	maxFairness = 64  // bytes; Temporal's limit
	hashLength  = 8
)

// Name joins parts into an id of the deployment: "schedule:flights:nightly", and
// "pr42:schedule:flights:nightly" in the deployment pr42.
func Name(deployment string, parts ...string) string {
	safe := make([]string, 0, len(parts)+1)
	if deployment != "" && deployment != DefaultDeployment {
		safe = append(safe, safePart(deployment))
	}
	for _, part := range parts {
		safe = append(safe, safePart(part))
	}
	return shortened(strings.Join(safe, ":"), maxName)
}

// shortened cuts a name that is too long, and tells it by a hash from others that begin alike.
func shortened(name string, most int) string {
	if len(name) <= most {
		return name
	}
	return name[:most-hashLength-1] + "~" + shortHash(name)
}

// Queue is the task queue of a location's workflows and steps.
func Queue(deployment, location string) string { return Name(deployment, location) }

// ControlQueue is the queue of a location's plan and record activities. queue is what [Queue] returned.
func ControlQueue(queue string) string { return queue + ":control" }

// EvaluationQueue is the queue on which a location's schedules and sensors are evaluated: their functions may take a while, and
// must not keep planning waiting. queue is what [Queue] returned.
func EvaluationQueue(queue string) string { return queue + ":evaluate" }

// SystemQueue is the queue of what no location serves: daemons poll it.
func SystemQueue(deployment string) string { return Name(deployment, "perdure-system") }

// ScheduleID is the id of a schedule's Temporal Schedule.
func ScheduleID(deployment, location, schedule string) string {
	return Name(deployment, "schedule", location, schedule)
}

// ScheduleTickID is the id of the workflows that a schedule's Temporal Schedule starts; Temporal adds the time.
func ScheduleTickID(deployment, location, schedule string) string {
	return Name(deployment, "schedule-tick", location, schedule)
}

// SensorID is the id of a sensor's workflow.
func SensorID(deployment, location, sensor string) string {
	return Name(deployment, "sensor", location, sensor)
}

// FairnessKey is the key by which Temporal shares workers fairly among those whose tasks have one priority: the runs of a
// backfill, of a schedule, of a sensor.
func FairnessKey(deployment string, parts ...string) string {
	return shortened(Name(deployment, parts...), maxFairness)
}

// RunQueueID is the id of the deployment's one workflow RunQueue.
func RunQueueID(deployment string) string { return Name(deployment, "run-queue") }

// NamedQueue is the queue of the steps that definitions.Queue(name) sends elsewhere; "" is queue itself.
func NamedQueue(queue, name string) string {
	if name == "" {
		return queue
	}
	return queue + ":" + safePart(name)
}

func safePart(part string) string {
	changed := false
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._~|-", r):
			return r
		case r == '_':
			return r
		}
		changed = true
		return '_'
	}, part)
	if changed {
		return safe + "~" + shortHash(part)
	}
	return safe
}

// ShortHash is a few letters that stand for a text.
func ShortHash(text string) string { return shortHash(text) }

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:hashLength]
}
