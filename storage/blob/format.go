package blob

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"github.com/perdure-io/perdure/storage/internal/columns"
)

// Format is how values become bytes. [JSON] and [CSV] are formats; others can be written.
type Format interface {
	// Extension is the end of the objects' names, without its dot: "csv". Lower-case letters and digits.
	Extension() string
	// Accepts says why values of a type cannot be written and read back; nil when they can.
	Accepts(reflect.Type) error
	// Encode writes a value of an accepted type.
	Encode(w io.Writer, value any) error
	// Decode fills into, a pointer to an accepted type.
	Decode(r io.Reader, into any) error
}

// Extended is a type of bytes or text that has an extension of its own: an image, a page. The method is
// called on a zero value.
//
//	type PNG []byte
//
//	func (PNG) Extension() string { return "png" }
type Extended interface{ Extension() string }

var extensionForm = regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9]+)*$`)

func checkExtension(extension string) error {
	switch {
	case !extensionForm.MatchString(extension):
		return fmt.Errorf("the extension %q is not of lower-case letters and digits, such as \"png\"", extension)
	case extension == "attrs" || strings.HasSuffix(extension, ".attrs"):
		return errors.New(`the extension "attrs" is taken by the files beside objects: choose another`)
	}
	return nil
}

// formatOf chooses the format of a type.
func formatOf(t reflect.Type, tables Format) (Format, error) {
	switch {
	case t == nil:
		return nil, errors.New("a nil value has no type: return a value of the asset's type")
	case t.Kind() == reflect.Interface:
		return nil, fmt.Errorf("%v is an interface, and what is stored could not be read back as what it was: use a concrete type", t)
	}
	format := JSON()
	_, notRows := columns.RowType(t)
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		format = raw("json")
	case isBytes(t):
		format = raw(ownExtension(t, "bin"))
	case t.Kind() == reflect.String:
		format = raw(ownExtension(t, "txt"))
	case notRows == nil:
		format = tables
		if tables == nil {
			format = undecided{}
		}
	}
	if err := checkExtension(format.Extension()); err != nil {
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	return format, format.Accepts(t)
}

// Accepts is what the Accepts of a [Storage] with this format for [Tables] answers, for definitions.Accepts: so a type that
// the format cannot hold is found when definitions are validated, before the bucket is opened.
//
//	definitions.Resource("files", definitions.Bind0(openFiles), (*blob.Storage).Close, definitions.Accepts(blob.Accepts(blob.CSV())))
func Accepts(tables Format) func(reflect.Type) error {
	return (&Storage{tables: tables}).Accepts
}

// undecided stands for the format of tables in a zero Storage, whose options are not known: it refuses
// only what no built-in format takes.
type undecided struct{ jsonFormat }

func (undecided) Accepts(t reflect.Type) error {
	if CSV().Accepts(t) == nil {
		return nil
	}
	return JSON().Accepts(t)
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func ownExtension(t reflect.Type, fallback string) string {
	if extended, ok := reflect.TypeAssert[Extended](reflect.New(t)); ok {
		return strings.TrimPrefix(extended.Extension(), ".")
	}
	return fallback
}

// raw is the format of bytes and text; its value is the extension.
type raw string

func (f raw) Extension() string { return string(f) }

func (raw) Accepts(t reflect.Type) error {
	if !isBytes(t) && t.Kind() != reflect.String {
		return fmt.Errorf("%v is neither bytes nor text", t)
	}
	return nil
}

func (raw) Encode(w io.Writer, value any) error {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.String {
		_, err := io.WriteString(w, v.String())
		return err
	}
	_, err := w.Write(v.Bytes())
	return err
}

func (raw) Decode(r io.Reader, into any) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	target := reflect.ValueOf(into).Elem()
	if target.Kind() == reflect.String {
		target.SetString(string(data))
		return nil
	}
	target.SetBytes(data)
	return nil
}
