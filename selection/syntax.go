package selection

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// maxNesting bounds parentheses and repeated "not", because the parser recurses for each.
const maxNesting = 100

// The rules are tried in this order. The last two catch what no other does, so that lexing never
// fails and every mistake is reported in one way.
var lexerDefinition = lexer.MustSimple([]lexer.SimpleRule{
	{Name: "Space", Pattern: `\s+`},
	{Name: "String", Pattern: `"(?:\\[\s\S]|[^"\\])*"`},
	// A word is not made of digits alone (that is a depth) nor of stars alone (that is every asset).
	{Name: "Word", Pattern: `(?:[0-9*]*[\p{L}_]|[0-9*]+[./-]|[0-9]+\*|\*+[0-9])[\p{L}\p{M}\p{Nd}_./*-]*`},
	{Name: "Number", Pattern: `[0-9]+`},
	{Name: "Star", Pattern: `\*`},
	{Name: "Sign", Pattern: `[+():=]`},
	{Name: "Unterminated", Pattern: `"[\s\S]*`},
	{Name: "Illegal", Pattern: `[\s\S]`},
})

var (
	tokenString       = lexerDefinition.Symbols()["String"]
	tokenWord         = lexerDefinition.Symbols()["Word"]
	tokenNumber       = lexerDefinition.Symbols()["Number"]
	tokenStar         = lexerDefinition.Symbols()["Star"]
	tokenSpace        = lexerDefinition.Symbols()["Space"]
	tokenUnterminated = lexerDefinition.Symbols()["Unterminated"]
	tokenIllegal      = lexerDefinition.Symbols()["Illegal"]
)

var parser = participle.MustBuild[disjunction](participle.Lexer(lexerDefinition), participle.Elide("Space"))

type disjunction struct {
	Terms []*conjunction `parser:"@@ ('or' @@)*"`
}

type conjunction struct {
	Factors []*factor `parser:"@@ ('and' @@)*"`
}

type factor struct {
	Not       *factor    `parser:"  'not' @@"`
	All       bool       `parser:"| @Star"`
	Traversal *traversal `parser:"| @@"`
}

type traversal struct {
	Pos  lexer.Position
	Up   *depth `parser:"( @@ '+' )?"`
	Item *item  `parser:"@@"`
	Down *depth `parser:"( '+' @@ )?"`
}

// depth matches nothing too: that is the unlimited one.
type depth struct {
	Pos    lexer.Position
	Number string `parser:"@Number?"`
}

type item struct {
	Pos   lexer.Position
	Word  *word        `parser:"  (?! 'and' | 'or' | 'not') @@"`
	Text  string       `parser:"| @String"`
	Group *disjunction `parser:"| '(' @@ ')'"`
}

// word is all that begins with one: an attribute, a function's call, or else a bare key.
type word struct {
	Name      string       `parser:"@Word"`
	Attribute *attribute   `parser:"( ':' @@"`
	Argument  *disjunction `parser:"| '(' @@ ')' )?"`
}

type attribute struct {
	Value  value  `parser:"@@"`
	Second *equal `parser:"@@?"`
}

type equal struct {
	Pos   lexer.Position
	Value value `parser:"'=' @@"`
}

type value struct {
	Pos  lexer.Position
	Text string `parser:"@(Word | Number | String)"`
}

func parse(text string) (*disjunction, *SyntaxError) {
	tokens, problem := tokenize(text)
	if problem != nil {
		return nil, problem
	}
	parsed, err := parser.ParseString("", text)
	if err == nil {
		return parsed, nil
	}
	var located participle.Error
	if !errors.As(err, &located) {
		return nil, syntaxError(text, 0, "%v", err)
	}
	return nil, explain(text, tokens, located.Position().Offset)
}

// tokenize gives the tokens without white space, the last one being the end, and refuses what the
// parser should not see.
func tokenize(text string) ([]lexer.Token, *SyntaxError) {
	if !utf8.ValidString(text) {
		return nil, syntaxError(text, invalidOffset(text), "the text is not valid UTF-8")
	}
	lex, err := lexerDefinition.LexString("", text)
	if err != nil {
		return nil, syntaxError(text, 0, "%v", err)
	}
	var tokens []lexer.Token
	parentheses, nots := 0, 0
	for len(tokens) == 0 || !tokens[len(tokens)-1].EOF() {
		token, err := lex.Next()
		if err != nil {
			return nil, syntaxError(text, 0, "%v", err)
		}
		switch {
		case token.Type == tokenSpace:
			continue
		case token.Type == tokenUnterminated:
			return nil, syntaxError(text, token.Pos.Offset, "the quoted value does not end: a closing \" is missing")
		case token.Type == tokenWord && token.Value == "not":
			nots++
		case token.Value == "(":
			parentheses++
		case token.Value == ")":
			parentheses--
		default:
			nots = 0
		}
		if parentheses+nots > maxNesting {
			return nil, syntaxError(text, token.Pos.Offset, "nested more than %d deep", maxNesting)
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func invalidOffset(text string) int {
	for offset, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[offset:]); size == 1 {
				return offset
			}
		}
	}
	return len(text)
}

func syntaxError(text string, offset int, format string, arguments ...any) *SyntaxError {
	return &SyntaxError{
		Text:    text,
		Column:  utf8.RuneCountInString(text[:offset]) + 1,
		Message: fmt.Sprintf(format, arguments...),
	}
}
