package selection

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// SyntaxError says where an expression stops making sense, and why.
type SyntaxError struct {
	// Text is the whole expression.
	Text string
	// Column is where the mistake is: 1 for the first character, counted in characters (runes), not
	// bytes; one more than Text has when something is missing at the end.
	Column int
	// Message says what is wrong and what would be right. It does not hold the column.
	Message string
}

// Error is the problem in one line, with the expression and the column.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("selection %#q, column %d: %s", e.Text, e.Column, e.Message)
}

// Caret is the expression in one line, and below it a ^ under the column: for a terminal, where it
// stands beside the message. Line breaks and tabs of the expression are shown as spaces.
func (e *SyntaxError) Caret() string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, e.Text)
	return line + "\n" + strings.Repeat(" ", max(e.Column-1, 0)) + "^"
}

const wantItem = `an asset key, *, not, "(", sinks(…), roots(…) or a filter such as group:NAME`

// explain turns the place at which the parser stopped into a sentence. The parser's own message
// would speak of grammar nodes.
func explain(text string, tokens []lexer.Token, offset int) *SyntaxError {
	at := 0
	for at < len(tokens)-1 && tokens[at].Pos.Offset < offset {
		at++
	}
	found := tokens[at]
	say := func(format string, arguments ...any) *SyntaxError {
		return syntaxError(text, found.Pos.Offset, format, arguments...)
	}
	// The parser stops at a number that no + follows, or behind it.
	for _, number := range []int{at - 1, at} {
		if number >= 0 && tokens[number].Type == tokenNumber && opensItem(tokens, number) {
			value := tokens[number]
			return syntaxError(text, value.Pos.Offset, `a number here is a depth and stands before a +: write key:"%s" for an asset of that key`, value.Value)
		}
	}
	if at == 0 {
		if found.EOF() {
			return say("the selection is empty: write * for every asset")
		}
		return say("expected %s, found %s", wantItem, describe(found))
	}
	before := tokens[at-1]
	switch {
	case before.Value == ":" || before.Value == "=":
		return say("expected a value after %q, found %s", before.Value, describe(found)+quoteHint(found))
	case found.Type == tokenStar && before.Value == "+", found.Value == "+" && before.Type == tokenStar:
		return say("* is every asset already and takes no +")
	case before.Type == tokenWord && attributeOrFunction(before.Value) && opensItem(tokens, at-1):
		return syntaxError(text, before.Pos.Offset, "%s", reservedMessage(before.Value))
	case opensItem(tokens, at):
		return say("expected %s, found %s", wantItem, describe(found))
	case found.EOF():
		return say(`expected ")" before the end`)
	default:
		return say("expected and, or%s or the end, found %s%s",
			closing(tokens[:at]), describe(found), operatorHint(found))
	}
}

// opensItem is whether something that selects must stand at tokens[at].
func opensItem(tokens []lexer.Token, at int) bool {
	if at == 0 {
		return true
	}
	before := tokens[at-1]
	switch {
	case before.Type == tokenWord:
		operator := before.Value == "and" || before.Value == "or" || before.Value == "not"
		isValue := at > 1 && (tokens[at-2].Value == ":" || tokens[at-2].Value == "=")
		return operator && !isValue
	case before.Value == "(":
		return true
	case before.Value == "+":
		// A + before an item follows its depth, or else what itself opens an item; one behind an
		// item follows that.
		if at > 1 && tokens[at-2].Type == tokenNumber {
			return opensItem(tokens, at-2)
		}
		return opensItem(tokens, at-1)
	default:
		return false
	}
}

func closing(before []lexer.Token) string {
	open := 0
	for _, token := range before {
		switch token.Value {
		case "(":
			open++
		case ")":
			open--
		}
	}
	if open > 0 {
		return `, ")"`
	}
	return ""
}

func describe(token lexer.Token) string {
	if token.EOF() {
		return "the end"
	}
	if token.Type == tokenString {
		return token.Value
	}
	return fmt.Sprintf("%q", token.Value)
}

func quoteHint(found lexer.Token) string {
	if found.Type == tokenIllegal {
		return ` (put values with such characters in double quotes)`
	}
	return ""
}

func operatorHint(found lexer.Token) string {
	switch lower := strings.ToLower(found.Value); {
	case found.Type == tokenWord && lower != found.Value && (lower == "and" || lower == "or" || lower == "not"):
		return fmt.Sprintf(" (write %s)", lower)
	case found.Value == "-":
		return " (A without B is written A and not B)"
	case found.Value == "&":
		return " (write and)"
	case found.Value == "|" || found.Value == ",":
		return " (write or)"
	case found.Type == tokenIllegal && utf8.RuneCountInString(found.Value) == 1:
		return " (put keys and values with such characters in double quotes)"
	}
	return ""
}
