package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// member is a field of a JSON object as it was written.
type member struct {
	name string
	data []byte
}

// membersOf splits a valid JSON object. Unlike a map it keeps order and doubled names.
func membersOf(object []byte) []member {
	decoder := json.NewDecoder(bytes.NewReader(object))
	var members []member
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	for decoder.More() {
		name, err := decoder.Token()
		text, isText := name.(string)
		var data json.RawMessage
		if err != nil || !isText || decoder.Decode(&data) != nil {
			return members
		}
		members = append(members, member{text, data})
	}
	return members
}

// itemsOf splits a valid JSON list.
func itemsOf(list []byte) []json.RawMessage {
	var items []json.RawMessage
	if json.Unmarshal(list, &items) != nil {
		return nil
	}
	return items
}

// syntaxProblem says where data stops being JSON; ok is true when it does not.
func syntaxProblem(data []byte) (problem Problem, ok bool) {
	var syntax *json.SyntaxError
	var whole json.RawMessage
	err := json.Unmarshal(data, &whole)
	switch {
	case err == nil:
		return Problem{}, true
	case errors.As(err, &syntax):
		at := min(int(syntax.Offset), len(data))
		before := data[:at]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		return Problem{
			Code: CodeSyntax, Message: fmt.Sprintf("is not JSON: %s, at line %d, column %d", syntax.Error(), line, column),
			Fix: "mind the shell's quotes: --input '{…}'",
		}, false
	default:
		return Problem{Code: CodeSyntax, Message: "is not JSON: " + err.Error()}, false
	}
}

// describe says what a JSON value is, for a message.
func describe(data []byte) string {
	if len(data) == 0 {
		return "nothing"
	}
	switch data[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "the string " + short(string(data))
	case 't', 'f':
		return string(data)
	case 'n':
		return "null"
	default:
		return "the number " + short(string(data))
	}
}

// twiceEncoded is the fix when an object or list was sent inside a string.
func twiceEncoded(want string, data []byte) string {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return ""
	}
	text = strings.TrimSpace(text)
	if (want == "a JSON object" && strings.HasPrefix(text, "{")) || (want == "a list" && strings.HasPrefix(text, "[")) {
		return "it was encoded twice: send it itself, not as a string"
	}
	return ""
}

func isNumber(data []byte) bool { return data[0] == '-' || (data[0] >= '0' && data[0] <= '9') }

// fields are the JSON fields of a struct, those of embedded structs among them.
type fields struct {
	names []string // as declared
	index map[string][]int
}

func fieldsOf(t reflect.Type) fields {
	found := fields{index: map[string][]int{}}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || (field.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = field.Name
		}
		found.names = append(found.names, name)
		found.index[name] = field.Index
	}
	return found
}
