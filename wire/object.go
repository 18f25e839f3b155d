package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// DecodeObject reads a JSON object of any content, such as a config: objects are map[string]any, lists []any, numbers
// json.Number. A whole number below 2^53 is given in plain digits however it was written, so that 3.0 still decodes
// into an int. Problems are no input, text that is not JSON, anything but an object, and a field that stands twice.
func DecodeObject(data []byte) (map[string]any, Problems) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil, Problems{{Code: CodeMissing, Message: "there is no JSON object"}}
	}
	if data[0] != '{' {
		if problem, ok := syntaxProblem(data); !ok {
			return nil, Problems{problem}
		}
		var d decoder
		d.wrongType("", "a JSON object", data)
		return nil, d.problems
	}
	value, problems := DecodeValue(data)
	object, _ := value.(map[string]any)
	return object, problems
}

// DecodeValue reads any JSON value as [DecodeObject] reads an object.
func DecodeValue(data []byte) (any, Problems) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil, Problems{{Code: CodeMissing, Message: "there is no JSON value"}}
	}
	if problem, ok := syntaxProblem(data); !ok {
		return nil, Problems{problem}
	}
	var d decoder
	tokens := json.NewDecoder(bytes.NewReader(data))
	tokens.UseNumber()
	value := d.anything("", tokens)
	if len(d.problems) > 0 {
		return nil, d.problems.capped()
	}
	return value, nil
}

// anything reads the next value of JSON that is known to be valid.
func (d *decoder) anything(path string, tokens *json.Decoder) any {
	token, err := tokens.Token()
	if err != nil {
		d.add(path, CodeSyntax, "is not JSON: "+err.Error(), "")
		return nil
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for tokens.More() {
			name, _ := tokens.Token()
			at := FieldPath(path, fmt.Sprint(name))
			value := d.anything(at, tokens)
			if _, doubled := object[fmt.Sprint(name)]; doubled {
				d.add(at, CodeConflict, "is given twice", "give it once")
			}
			object[fmt.Sprint(name)] = value
		}
		_, _ = tokens.Token() // }
		return object
	case json.Delim('['):
		list := []any{}
		for tokens.More() {
			list = append(list, d.anything(ItemPath(path, len(list)), tokens))
		}
		_, _ = tokens.Token() // ]
		return list
	}
	if number, ok := token.(json.Number); ok {
		return plainNumber(number)
	}
	return token
}

// plainNumber writes a whole number in digits alone.
func plainNumber(number json.Number) json.Number {
	if !strings.ContainsAny(number.String(), ".eE") {
		return number
	}
	const exact = 1 << 53 // up to here a float64 holds every whole number
	float, err := number.Float64()
	if err != nil || float != math.Trunc(float) || math.Abs(float) > exact {
		return number
	}
	return json.Number(strconv.FormatInt(int64(float), 10))
}
