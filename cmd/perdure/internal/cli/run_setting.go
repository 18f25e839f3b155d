package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// settingHelp explains --set in the help of the commands that have it.
const settingHelp = "\n\n--set gives one value of the run config by its path: assets.KEY.FIELD=VALUE, ops.PATH.FIELD=VALUE,\n" +
	"resources.NAME.FIELD=VALUE, loggers.level=VALUE, execution.FIELD=VALUE. VALUE is JSON, or else text. Of a name with dots\n" +
	"in it, as the path of an op, the longest that the location has is taken: ops.etl.clean.size=5. Where that is not the one\n" +
	"that is meant, quote it: 'ops[\"etl\"].clean.size=5'."

// setting is one value of a run config: ops.etl.clean.min_flights=5.
type setting struct {
	// text is what was given, parts its path.
	text  string
	parts []pathPart
	value any
}

// pathPart is a part of a path, between dots or, quoted, in brackets.
type pathPart struct {
	text   string
	quoted bool
}

// parseSetting reads PATH=VALUE. The value is JSON, or else text.
func parseSetting(text string) (setting, error) {
	parts, value, ok := splitSetting(text)
	least := 3
	if ok && len(parts) == 2 && (parts[0].text == "execution" || parts[0].text == "loggers" && parts[1].text == "level") {
		least = 2
	}
	if !ok || len(parts) < least {
		return setting{}, fmt.Errorf(`--set %s: write it as assets.KEY.FIELD=VALUE, or with ops.PATH, resources.NAME, loggers.NAME or execution; `+
			`a name can be quoted: ops["etl.clean"].FIELD=VALUE`, text)
	}
	parsed := setting{text: text, parts: parts}
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(&parsed.value); err != nil || decoder.More() {
		parsed.value = value
	}
	return parsed, nil
}

var errPath = errors.New("malformed path")

// splitSetting reads a path as messages write it, a.b["c.d"].e, up to the "=" behind it.
func splitSetting(text string) (parts []pathPart, value string, ok bool) {
	for rest := text; ; {
		part, after, err := nextPart(rest)
		if err != nil {
			return nil, "", false
		}
		parts = append(parts, part)
		switch {
		case strings.HasPrefix(after, "="):
			return parts, after[1:], true
		case strings.HasPrefix(after, "."):
			rest = after[1:]
		case strings.HasPrefix(after, "["):
			rest = after
		default:
			return nil, "", false
		}
	}
}

func nextPart(rest string) (part pathPart, after string, err error) {
	if inside, bracket := strings.CutPrefix(rest, "["); bracket {
		quoted, err := strconv.QuotedPrefix(inside)
		if err != nil || !strings.HasPrefix(inside[len(quoted):], "]") {
			return pathPart{}, "", errPath
		}
		name, err := strconv.Unquote(quoted)
		if err != nil || name == "" {
			return pathPart{}, "", errPath
		}
		return pathPart{name, true}, inside[len(quoted)+1:], nil
	}
	end := strings.IndexAny(rest, ".[=")
	if end < 1 {
		return pathPart{}, "", errPath
	}
	return pathPart{text: rest[:end]}, rest[end:], nil
}

// nameParts is how many parts behind the section may be the name: up to the first that is quoted, and not the last.
func (s setting) nameParts() int {
	if s.parts[0].text == "execution" {
		return 1
	}
	candidates := s.parts[1 : len(s.parts)-1]
	if end := slices.IndexFunc(candidates, func(part pathPart) bool { return part.quoted }); end >= 0 {
		return max(end, 1)
	}
	return max(len(candidates), 1)
}

// ambiguous says whether it takes the names of the location to know where the name ends.
func (s setting) ambiguous() bool { return s.nameParts() > 1 }

// path is the setting's, with the name as one part: the longest of those that are known, or that one of these is near to.
func (s setting) path(known []string) []string {
	name := func(parts int) string {
		texts := make([]string, parts)
		for i := range texts {
			texts[i] = s.parts[1+i].text
		}
		return strings.Join(texts, ".")
	}
	length := 1
	for _, matches := range []func(string) bool{
		func(name string) bool { return slices.Contains(known, name) },
		func(name string) bool { return wire.Nearest(name, known) != "" },
	} {
		found := s.nameParts()
		for found > 0 && !matches(name(found)) {
			found--
		}
		if found > 0 {
			length = found
			break
		}
	}
	path := []string{s.parts[0].text, name(length)}
	for _, part := range s.parts[1+length:] {
		path = append(path, part.text)
	}
	return path
}

// layOver lays the setting over a run config. known are the names in its section.
func (s setting) layOver(root map[string]any, known []string) error {
	path := s.path(known)
	section := root
	for i, part := range path[:len(path)-1] {
		switch below := section[part].(type) {
		case nil:
			made := map[string]any{}
			section[part], section = made, made
		case map[string]any:
			section = below
		default:
			return fmt.Errorf("--set %s: %s is a value already, not an object", s.text, strings.Join(path[:i+1], "."))
		}
	}
	section[path[len(path)-1]] = s.value
	return nil
}
