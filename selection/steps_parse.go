package selection

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseSteps reads a selection of steps, for a job's ops or a re-execution:
//
//	clean                  the step clean; when a graph is called so, all steps in it
//	etl.clean              the step clean of the graph etl
//	clean[page_3]          the step that is mapped by clean for the key page_3
//	flights@2001-01-01     the step of flights for a partition; flights alone is those for all partitions
//	"odd key"              a step whose key has other characters; \" and \\ stand for the character itself
//	*                      every step
//	*clean  clean*         clean, and all that it needs, or all that needs it
//	+clean  clean+         clean, and what it needs itself, or what needs it itself
//	++clean  clean++       the same over two layers, and so on; also 2+clean and clean+2
//	a, b  or  a b          a and b
//
// Its error is a [*SyntaxError]. Whether the steps exist is found out by [StepSelection.Evaluate].
func ParseSteps(text string) (*StepSelection, error) {
	r := stepReader{text: text}
	var selected StepSelection
	for {
		r.skipSeparators()
		if r.at == len(text) {
			break
		}
		item, problem := r.item()
		if problem != nil {
			return nil, problem
		}
		selected.items = append(selected.items, item)
	}
	if len(selected.items) == 0 {
		return nil, syntaxError(text, len(text), "no step is named: write a step's key, or * for every step")
	}
	return &selected, nil
}

// stepReader reads a step selection from left to right.
type stepReader struct {
	text string
	at   int
}

func (r *stepReader) skipSeparators() {
	r.skip(func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
}

// skip moves past the characters that are of a kind, and returns them.
func (r *stepReader) skip(isKind func(rune) bool) string {
	from := r.at
	for r.at < len(r.text) {
		c, size := utf8.DecodeRuneInString(r.text[r.at:])
		if !isKind(c) {
			break
		}
		r.at += size
	}
	return r.text[from:r.at]
}

func (r *stepReader) atEnd() bool {
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return r.at == len(r.text) || c == ',' || unicode.IsSpace(c)
}

func (r *stepReader) item() (stepItem, *SyntaxError) {
	from := r.at
	up, problem := r.up()
	if problem != nil {
		return stepItem{}, problem
	}
	if r.text[from:r.at] == "*" && r.atEnd() {
		return stepItem{}, nil
	}
	key, problem := r.key()
	if problem != nil {
		return stepItem{}, problem
	}
	down, problem := r.down()
	if problem != nil {
		return stepItem{}, problem
	}
	if !r.atEnd() {
		return stepItem{}, r.fault(`expected "," or a space, then another step: found %s`, r.found())
	}
	return stepItem{key: key, up: up, down: down}, nil
}

// up reads what stands before a key: *, pluses, or a number and a plus.
func (r *stepReader) up() (int, *SyntaxError) {
	from := r.at
	if digits := r.skip(isDigit); digits != "" {
		if !strings.HasPrefix(r.text[r.at:], "+") {
			r.at = from // a key that begins with digits
			return 0, nil
		}
		r.at++
		return r.number(digits, from)
	}
	return r.layers(), nil
}

// down reads what stands behind a key: *, pluses, or a plus and a number.
func (r *stepReader) down() (int, *SyntaxError) {
	layers := r.layers()
	from := r.at
	if layers == 1 {
		if digits := r.skip(isDigit); digits != "" {
			return r.number(digits, from)
		}
	}
	return layers, nil
}

// layers reads * or pluses.
func (r *stepReader) layers() int {
	if strings.HasPrefix(r.text[r.at:], "*") {
		r.at++
		return unlimited
	}
	return len(r.skip(func(c rune) bool { return c == '+' }))
}

func (r *stepReader) number(digits string, at int) (int, *SyntaxError) {
	layers, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, syntaxError(r.text, at, "the depth %s is too large (a * takes all layers)", digits)
	}
	return int(layers), nil
}

// key reads a step's key.
func (r *stepReader) key() (string, *SyntaxError) {
	if strings.HasPrefix(r.text[r.at:], `"`) {
		return r.quoted()
	}
	key := r.skip(isKeyCharacter)
	if key == "" {
		return "", r.fault(`expected a step's key, such as clean, etl.clean or clean[page_3]: found %s`, r.found())
	}
	if strings.HasPrefix(r.text[r.at:], "@") {
		r.at++
		partition := r.skip(isPartitionCharacter)
		if partition == "" {
			return "", r.fault(`expected the key of a partition after "@": found %s`, r.found())
		}
		key += "@" + partition
	}
	if !strings.HasPrefix(r.text[r.at:], "[") {
		return key, nil
	}
	r.at++
	mapping := r.skip(isMappingCharacter)
	if mapping == "" {
		return "", r.fault(`expected a mapping key of letters, digits and "_" after "[": found %s`, r.found())
	}
	if !strings.HasPrefix(r.text[r.at:], "]") {
		return "", r.fault(`expected "]" after the mapping key %q: found %s`, mapping, r.found())
	}
	r.at++
	return key + "[" + mapping + "]", nil
}

func (r *stepReader) quoted() (string, *SyntaxError) {
	from := r.at
	var key strings.Builder
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"' && key.Len() == 0:
			return "", syntaxError(r.text, from, "the key in quotes is empty")
		case c == '"':
			r.at++
			return key.String(), nil
		case c == '\\' && r.at+1 < len(r.text) && strings.IndexByte(`"\`, r.text[r.at+1]) >= 0:
			r.at++
			key.WriteByte(r.text[r.at])
		default:
			key.WriteByte(c)
		}
	}
	return "", syntaxError(r.text, from, `the quotes are not closed: write a " behind the key`)
}

func (r *stepReader) fault(format string, arguments ...any) *SyntaxError {
	return syntaxError(r.text, r.at, format, arguments...)
}

// found is what stands where the reader is, for a message.
func (r *stepReader) found() string {
	if r.at == len(r.text) {
		return "the end"
	}
	_, size := utf8.DecodeRuneInString(r.text[r.at:])
	return strconv.Quote(r.text[r.at : r.at+size])
}

func isDigit(c rune) bool { return c >= '0' && c <= '9' }

func isMappingCharacter(c rune) bool {
	return c == '_' || isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

func isPartitionCharacter(c rune) bool { return isKeyCharacter(c) || strings.ContainsRune(":|=@", c) }

func isKeyCharacter(c rune) bool {
	return isMappingCharacter(c) || strings.ContainsRune("./-", c)
}
