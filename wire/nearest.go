package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

const (
	maxKnown = 20  // names that a fix lists
	maxNear  = 100 // characters of a name for which near ones are searched
)

// Nearest is the known name that was probably meant: equal but for letter case, or at most a third of its letters
// away, of several such the one whose length is nearer. It is "" when none is near.
func Nearest(name string, known []string) string {
	length := utf8.RuneCountInString(name)
	if length > maxNear {
		return ""
	}
	best, nearest, nearestLength := "", min(max(length/3, 1), length-1), length
	for _, candidate := range known {
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		difference := utf8.RuneCountInString(candidate) - length
		difference = max(difference, -difference)
		if difference > nearest {
			continue
		}
		distance := levenshtein.ComputeDistance(name, candidate)
		if distance < nearest || (distance == nearest && difference < nearestLength) {
			best, nearest, nearestLength = candidate, distance, difference
		}
	}
	return best
}

// FixUnknown is the fix for a name that is not among those known: what was probably meant, and what there is, at
// most 20 names in the order given.
func FixUnknown(name string, known []string) string {
	if len(known) == 0 {
		return "there are none"
	}
	listed := "known: " + strings.Join(known[:min(len(known), maxKnown)], ", ")
	if more := len(known) - maxKnown; more > 0 {
		listed += fmt.Sprintf(" and %d more", more)
	}
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q? %s", near, listed)
	}
	return listed
}
