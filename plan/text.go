package plan

import (
	"fmt"
	"unicode/utf8"

	"github.com/perdure-io/perdure/wire"
)

// How many characters the texts of a request may have. They lie in histories, rows and search attributes, of which
// each has a limit of its own: above that a run would not be refused but terminated.
const (
	maxTitle = 200
	maxNote  = 4000
	maxCause = 200
)

// limitedText is a text of a request and how many characters it may have.
type limitedText struct {
	path, value string
	most        int
}

// textProblems says which texts of a request are too long.
func textProblems(request wire.RunRequest) wire.Problems {
	return tooLong([]limitedText{{"title", request.Title, maxTitle}, {"note", request.Note, maxNote}, {"cause", request.Cause, maxCause}})
}

func tooLong(texts []limitedText) wire.Problems {
	var problems wire.Problems
	for _, text := range texts {
		if given := utf8.RuneCountInString(text.value); given > text.most {
			problems = append(problems, wire.Problem{
				Path: text.path, Code: wire.CodeTooLarge,
				Message: fmt.Sprintf("has %d characters", given), Fix: fmt.Sprintf("use at most %d", text.most),
			})
		}
	}
	return problems
}
