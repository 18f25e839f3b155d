package pipes

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The environment variables of the protocol.
const (
	ContextVariable  = "DAGSTER_PIPES_CONTEXT"
	MessagesVariable = "DAGSTER_PIPES_MESSAGES"
)

const (
	// pollInterval is how often the messages' file is looked at.
	pollInterval = 100 * time.Millisecond
	// maxLine bounds one message, in bytes.
	maxLine = 64 << 20
)

// Context is what a program is told of the step that it computes. A nil field is null: the step has no such thing.
type Context struct {
	AssetKeys             []string               `json:"asset_keys"`
	CodeVersionByAssetKey map[string]*string     `json:"code_version_by_asset_key"`
	ProvenanceByAssetKey  map[string]*Provenance `json:"provenance_by_asset_key"`
	PartitionKey          *string                `json:"partition_key"`
	PartitionKeyRange     *Range                 `json:"partition_key_range"`
	PartitionTimeWindow   *Range                 `json:"partition_time_window"`
	RunID                 string                 `json:"run_id"`
	JobName               *string                `json:"job_name"`
	RetryNumber           int                    `json:"retry_number"`
	Extras                map[string]any         `json:"extras"`
}

// Provenance is what the last materialization of an asset was made of.
type Provenance struct {
	CodeVersion       string            `json:"code_version"`
	InputDataVersions map[string]string `json:"input_data_versions"`
	IsUserProvided    bool              `json:"is_user_provided"`
}

// Range is a range of partition keys, both inside, or a time window.
type Range struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// Session is one program's connection: a folder with its context and what it reports.
type Session struct {
	folder   string
	messages *os.File
	environ  []string
}

// Open writes the context for a program. Close ends the session and removes its files.
func Open(about Context) (*Session, error) {
	folder, err := os.MkdirTemp("", "perdure-pipes-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for a program's context and messages: %w", err)
	}
	s := &Session{folder: folder}
	if err := s.open(about); err != nil {
		return nil, errors.Join(fmt.Errorf("hand a program its context: %w", err), s.Close())
	}
	return s, nil
}

func (s *Session) open(about Context) error {
	if about.Extras == nil {
		about.Extras = map[string]any{}
	}
	content, err := json.Marshal(about)
	if err != nil {
		return err
	}
	contextFile, messagesFile := filepath.Join(s.folder, "context.json"), filepath.Join(s.folder, "messages.jsonl")
	if err := os.WriteFile(contextFile, content, 0o600); err != nil {
		return err
	}
	if s.messages, err = os.OpenFile(messagesFile, os.O_CREATE|os.O_RDONLY, 0o600); err != nil {
		return err
	}
	for variable, file := range map[string]string{ContextVariable: contextFile, MessagesVariable: messagesFile} {
		encoded, err := encode(map[string]string{"path": file})
		if err != nil {
			return err
		}
		s.environ = append(s.environ, variable+"="+encoded)
	}
	return nil
}

// encode is the form of the protocol's variables.
func encode(params map[string]string) (string, error) {
	content, err := json.Marshal(params)
	if err != nil {
		return "", err
	}
	var compressed bytes.Buffer
	writer := zlib.NewWriter(&compressed)
	if _, err := writer.Write(content); err != nil {
		return "", err
	}
	if err := writer.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(compressed.Bytes()), nil
}

// MessagesFile is the path of the file that the program appends its messages to.
func (s *Session) MessagesFile() string { return s.messages.Name() }

// Environ are the program's variables, NAME=VALUE.
func (s *Session) Environ() []string { return s.environ }

// Close removes the session's files.
func (s *Session) Close() error {
	var err error
	if s.messages != nil {
		err = s.messages.Close()
	}
	if err = errors.Join(err, os.RemoveAll(s.folder)); err != nil {
		return fmt.Errorf("remove a program's context and messages: %w", err)
	}
	return nil
}

// Follow hands each message to handle, in order, while the program reports them, until it has ended and all are read. It
// returns the first error of handle, or what is wrong with a message, as a [MessageError].
func (s *Session) Follow(ctx context.Context, ended <-chan struct{}, handle func(*Message) error) error {
	lines := &lineReader{file: s.messages}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		last := false
		select {
		case <-ticker.C:
		case <-ended:
			last = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := lines.each(last, func(number int, line []byte) error {
			message, err := decode(line)
			if err == nil {
				err = handle(message)
			}
			if err != nil {
				return &MessageError{Line: number, Err: err}
			}
			return nil
		}); err != nil || last {
			return err
		}
	}
}

// lineReader reads a file that grows.
type lineReader struct {
	file   *os.File
	rest   []byte
	number int
}

// each visits the whole lines that have come since the last time; with last also one that has no end.
func (r *lineReader) each(last bool, visit func(number int, line []byte) error) error {
	added, err := io.ReadAll(r.file)
	if err != nil {
		return fmt.Errorf("read a program's messages: %w", err)
	}
	r.rest = append(r.rest, added...)
	for {
		line, rest, whole := bytes.Cut(r.rest, []byte("\n"))
		if !whole && !last {
			if len(line) > maxLine {
				return fmt.Errorf("a program's message on line %d is over %d bytes", r.number+1, maxLine)
			}
			return nil
		}
		r.rest = rest
		if whole || len(line) > 0 {
			r.number++
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := visit(r.number, line); err != nil {
				return err
			}
		}
		if !whole {
			return nil
		}
	}
}
