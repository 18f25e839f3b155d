package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/wire"
)

const languages = "steps-in-other-languages.md"

// onlyPython is the Python program of a section of the page about other languages.
func onlyPython(t *testing.T, under string) string {
	t.Helper()
	for _, one := range blocksOf(t, filepath.Join(repository, "docs", languages)) {
		if one.language == "python" && one.under == under {
			return one.text
		}
	}
	require.Fail(t, "no program", "%s has no Python under %q", languages, under)
	return ""
}

func TestTheScriptOfTheDocumentationSpeaksPipes(t *testing.T) {
	t.Parallel()
	python, folder := testpython.Interpreter(t), t.TempDir()
	script := onlyPython(t, "A program that speaks Dagster Pipes")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "train.py"), []byte(script), 0o600))

	model := definitions.Asset("model", definitions.Command(python, definitions.Arguments{"train.py"}, definitions.Folder(folder),
		definitions.Extra("rounds", definitions.Literal(3))))

	result := definitions.Materialize(t.Context(), definitions.New("pipes", model))
	require.NoError(t, result.Err())
	require.Equal(t, []definitions.Metadatum{definitions.Float("accuracy", 0.9), definitions.Int("rounds", 3)}, result.Metadata(model))
	require.Equal(t, "m1", result.DataVersion(model))
}

func TestTheRemoteProgramOfTheDocumentationComputesAStep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const location = "documented-remote"
	model := definitions.Asset("model", definitions.Bind0(func(definitions.Context) (string, error) { return "a model", nil }))
	scores := definitions.Asset("scores", definitions.Remote[[]int](model), definitions.Queue("ml"), definitions.Retries{Max: 2})
	sum := definitions.Asset("sum", definitions.Bind1(func(_ definitions.Context, scores []int) (int, error) {
		total := 0
		for _, score := range scores {
			total += score
		}
		return total, nil
	}, scores), definitions.OfType(definitions.Type[int]{Name: "six", Check: func(sum int) error {
		require.Equal(t, 6, sum)
		return nil
	}}))
	b.serve(t, definitions.New(location, model, scores, sum))

	var printed bytes.Buffer
	program := exec.CommandContext(t.Context(), testpython.Interpreter(t), "-c", onlyPython(t, "A program that takes the step from a queue"),
		testenv.Temporal(t).Address, wire.NamedQueue(wire.Queue(b.config.Deployment, location), "ml"))
	program.Stdout, program.Stderr = &printed, &printed
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		_ = program.Wait() // the test's context has ended it
		if t.Failed() {
			t.Log(printed.String())
		}
	})
	temporalCLI(t, startArguments("start", location, location, `{"assets":"*"}`)...).ok(t)
	result, err := b.starter.Await(t.Context(), location)
	require.NoError(t, err)
	require.Equal(t, []string{"model", "scores", "sum"}, result.Materialized)
}

// What the documentation says stops a run is said of one that goes on.
func TestTheCancelsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	const location = "documented-cancels"
	called := make(chan struct{}, 1)
	held := definitions.Asset("held", definitions.Bind0(func(ctx definitions.Context) (int, error) {
		called <- struct{}{}
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	b.serve(t, definitions.New(location, held))
	server := testenv.Temporal(t)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(server.Binary, filepath.Join(bin, "temporal")))
	require.NoError(t, os.Symlink(buildProgram(t, repository+"/cmd/perdure"), filepath.Join(bin, "perdure")))
	environment := append(b.exampleEnvironment(dsn), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TEMPORAL_ADDRESS="+server.Address)
	cancels := 0
	for _, page := range documented(t) {
		for _, one := range blocksOf(t, page) {
			for _, line := range commandsOf(one) {
				if !stopCommand.MatchString(line) {
					continue
				}
				cancels++
				words := strings.Fields(line)
				id := location + strconv.Itoa(cancels)
				words[len(words)-1] = id
				temporalCLI(t, startArguments("start", location, id, `{"assets":"*"}`)...).ok(t)
				<-called
				run(t, environment, "sh", "-c", strings.Join(words, " ")).ok(t)
				_, err := b.starter.Await(t.Context(), id)
				require.Error(t, err, line)
				canceled, err := b.store.Run(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, wire.RunCanceled, canceled.Status, line)
			}
		}
	}
	require.GreaterOrEqual(t, cancels, 2)
}

var spaces = regexp.MustCompile(`\s+`)

// The Go of these pages is taken from programs that are compiled and run: the example, the examples of package definitions,
// and this test.
func TestTheGoOfTheDocumentationIsCompiled(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, pattern := range []string{"examples/flights/*.go", "definitions/example_*test.go", "internal/integration/docs_*_test.go"} {
		files, err := filepath.Glob(filepath.Join(repository, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			sources.WriteString(spaces.ReplaceAllString(string(text), " "))
		}
	}
	quotes := 0
	for _, page := range documented(t) {
		if filepath.Base(page) == "README.md" {
			continue // it is abridged, and says so
		}
		for _, one := range blocksOf(t, page) {
			if one.language != "go" {
				continue
			}
			quotes++
			require.Contains(t, sources.String(), strings.TrimSpace(spaces.ReplaceAllString(one.text, " ")), "%s: this Go stands in no source: %s", page, one.text)
		}
	}
	require.GreaterOrEqual(t, quotes, 10)
}

// Every page leads somewhere: its links are files of the repository.
func TestTheLinksOfTheDocumentation(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	fenced := regexp.MustCompile("(?s)\n```.*?\n```")
	pages := append(documented(t), filepath.Join(repository, "ARCHITECTURE.md"))
	linked := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			target := filepath.Join(filepath.Dir(page), found[1])
			_, err := os.Stat(target)
			require.NoError(t, err, "%s leads to %s", page, found[1])
			if filepath.Dir(page) == filepath.Clean(repository) {
				linked[filepath.Clean(target)] = true
			}
		}
	}
	for _, page := range pages {
		if filepath.Base(filepath.Dir(page)) == "docs" {
			require.True(t, linked[filepath.Clean(page)], "README.md does not lead to %s", page)
		}
	}
}
