// Package deploy_test checks what can be known of the production shape without an engine to run it: `make lint` checks
// docker-compose.yml against the Compose specification, this the facts that the specification does not know.
package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/perdure-io/perdure/config"
)

// root is the repository's folder.
const root = ".."

// composeFile is the part of docker-compose.yml that is looked at.
type composeFile struct {
	Services map[string]service `yaml:"services"`
}

type service struct {
	Image       string            `yaml:"image"`
	Build       *build            `yaml:"build"`
	Restart     string            `yaml:"restart"`
	DependsOn   map[string]need   `yaml:"depends_on"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Command     []string          `yaml:"command"`
	Health      *struct{}         `yaml:"healthcheck"`
	StopGrace   string            `yaml:"stop_grace_period"`
}

type build struct {
	Context string            `yaml:"context"`
	Args    map[string]string `yaml:"args"`
}

type need struct {
	Condition string `yaml:"condition"`
}

// compose reads docker-compose.yml with the variables of env.example in place.
func compose(t *testing.T) composeFile {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	variables := exampleVariables(t)
	filled := regexp.MustCompile(`\$\{(\w+)(:\?[^}]*)?\}`).ReplaceAllStringFunc(string(content), func(reference string) string {
		name := regexp.MustCompile(`\w+`).FindString(reference)
		require.Contains(t, variables, name, "env.example does not name the variable of docker-compose.yml")
		return variables[name]
	})
	var parsed composeFile
	require.NoError(t, yaml.Unmarshal([]byte(filled), &parsed))
	require.NotEmpty(t, parsed.Services)
	return parsed
}

func exampleVariables(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("env.example")
	require.NoError(t, err)
	variables := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			variables[name] = value
		}
	}
	return variables
}

func TestComposeNeedsWhatItCanWaitFor(t *testing.T) {
	t.Parallel()
	file := compose(t)
	for name, declared := range file.Services {
		for needed, how := range declared.DependsOn {
			target, exists := file.Services[needed]
			require.True(t, exists, "%s depends on %s, which is no service", name, needed)
			switch how.Condition {
			case "service_healthy":
				require.NotNil(t, target.Health, "%s waits for the health of %s, which has no health check", name, needed)
			case "service_completed_successfully":
				require.Regexp(t, `^on-failure:\d+$`, target.Restart, "%s waits for the end of %s, which is restarted", name, needed)
			default:
				t.Errorf("%s waits for %s in the unknown way %q", name, needed, how.Condition)
			}
		}
	}
}

func TestComposeServicesComeBackAndArePinned(t *testing.T) {
	t.Parallel()
	for name, declared := range compose(t).Services {
		require.Regexp(t, `^(unless-stopped|on-failure:\d+)$`, declared.Restart, name)
		if declared.Build == nil {
			require.Regexp(t, `^[\w/-]+:\d+[\w.-]*$`, declared.Image, "%s: an image is pinned to a version", name)
		}
		for _, port := range declared.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes %s beyond this machine", name, port)
		}
	}
}

func TestComposeMountsWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, declared := range compose(t).Services {
		mounts := map[string]string{} // from the path inside to the path here
		for _, volume := range declared.Volumes {
			source, inside, ok := strings.Cut(volume, ":")
			require.True(t, ok, "%s: %s", name, volume)
			inside, _, _ = strings.Cut(inside, ":")
			if strings.HasPrefix(source, ".") {
				mounts[inside] = filepath.Join(root, source)
				require.DirExists(t, mounts[inside], name)
			}
		}
		// What a service is started with, or told to read, from such a folder is in it.
		used := append(append([]string{}, declared.Entrypoint...), declared.Command...)
		for _, value := range declared.Environment {
			used = append(used, value)
		}
		for _, path := range used {
			for inside, here := range mounts {
				if rest, ok := strings.CutPrefix(path, inside+"/"); ok {
					require.FileExists(t, filepath.Join(here, rest), name)
				}
			}
		}
	}
}

func TestComposeConfiguresPerdure(t *testing.T) {
	t.Parallel()
	file := compose(t)
	flights := file.Services["flights"]
	require.Equal(t, flights.Environment, file.Services["migrate"].Environment, "the migration is for the database of the workers")
	environ := []string{}
	for name, value := range flights.Environment {
		environ = append(environ, name+"="+value)
	}
	settings, err := config.Load(config.LoadOptions{Folder: t.TempDir(), Environ: environ})
	require.NoError(t, err)

	temporal, _, _ := strings.Cut(settings.Temporal.Address, ":")
	require.Contains(t, file.Services, temporal)
	dsn, err := settings.PostgresDSN()
	require.NoError(t, err)
	postgres := file.Services["postgres"]
	require.Contains(t, dsn, postgres.Environment["POSTGRES_USER"]+":"+postgres.Environment["POSTGRES_PASSWORD"]+"@postgres:5432/")
	require.Contains(t, file.Services["temporal-ui"].Ports,
		strings.TrimPrefix(settings.Temporal.UIAddress, "http://")+":"+file.Services["temporal-ui"].Environment["TEMPORAL_UI_PORT"])

	grace, err := time.ParseDuration(flights.StopGrace)
	require.NoError(t, err)
	require.Greater(t, grace, settings.Worker.DrainTimeout, "a worker is killed before it has drained")
}

func TestImageIsBuiltFromPackagesThatExist(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	packages := regexp.MustCompile(`(?m)(?:^ARG LOCATION=| )(\./[\w/]+)`).FindAllStringSubmatch(string(content), -1)
	require.Len(t, packages, 2)
	for _, match := range packages {
		requireProgram(t, match[1])
	}
	for _, declared := range compose(t).Services {
		if declared.Build != nil {
			require.Equal(t, ".", declared.Build.Context)
			requireProgram(t, declared.Build.Args["LOCATION"])
		}
	}
	// The image that is run has what the services start.
	for _, program := range []string{"/out/perdure", "/out/location"} {
		require.Contains(t, string(content), "-o "+program+" ")
	}

	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(content), "FROM golang:"+goVersion.FindStringSubmatch(string(module))[1]+"-")
}

// requireProgram wants the folder to hold a main package.
func requireProgram(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "%s holds no Go files", folder)
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.Regexp(t, `(?m)^package main$`, string(content), folder)
}

func TestDynamicConfigurationHasOneValueAKey(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("temporal/dynamic-config.yaml")
	require.NoError(t, err)
	var settings map[string][]struct {
		Value any `yaml:"value"`
	}
	require.NoError(t, yaml.Unmarshal(content, &settings))
	// The benchmarks rest on these; internal/devstack sets the same on the local stack.
	for _, key := range []string{
		"history.transferProcessorMaxPollRPS", "history.timerProcessorMaxPollRPS",
		"history.transferProcessorUpdateAckInterval", "history.timerProcessorUpdateAckInterval", "history.visibilityProcessorUpdateAckInterval",
		"matching.numTaskqueueReadPartitions", "matching.numTaskqueueWritePartitions", "matching.enableFairness", "system.enableActivityEagerExecution",
	} {
		require.Len(t, settings[key], 1, key)
		require.NotNil(t, settings[key][0].Value, key)
	}
}
