package computelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"gocloud.dev/blob"
)

const (
	flushInterval = 500 * time.Millisecond
	// chunkSize is from how many bytes on a chunk is written without waiting for the interval.
	chunkSize = 256 << 10
	// maxPending is how many bytes of a stream wait for a slow bucket, before the program that prints does.
	maxPending = 4 << 20
	// writeTimeout bounds the writing of one chunk; retryPause is until it is tried again.
	writeTimeout = 20 * time.Second
	retryPause   = time.Second
)

// Log takes what one execution prints.
type Log struct {
	store     *Store
	execution Execution
	stdout    *stream
	stderr    *stream
}

// Begin makes the log of an execution; nothing is written before something is printed. Close ends it.
func (s *Store) Begin(execution Execution) *Log {
	l := &Log{store: s, execution: execution}
	l.stdout, l.stderr = l.newStream(Stdout), l.newStream(Stderr)
	return l
}

// Stdout takes what is printed to standard output. A write never fails while the log is open: what cannot be stored is
// left out, and the log says so.
func (l *Log) Stdout() io.Writer { return l.stdout }

// Stderr takes what is printed to standard error, as [Log.Stdout] does.
func (l *Log) Stderr() io.Writer { return l.stderr }

// Close writes what is left, trying until ctx ends, and marks the end. What is printed afterwards is refused with
// [io.ErrClosedPipe].
func (l *Log) Close(ctx context.Context) error {
	stdout, stderr := l.stdout.close(ctx), l.stderr.close(ctx)
	err := errors.Join(<-stdout, <-stderr)
	if !l.stdout.begun && !l.stderr.begun {
		return err
	}
	if endErr := l.store.bucket.WriteAll(ctx, l.execution.folder()+endName, nil, plainText); endErr != nil {
		err = errors.Join(err, fmt.Errorf("end the compute log of step %s: %w", l.execution.Step, endErr))
	}
	return err
}

// stream is one of a log's two.
type stream struct {
	log  *Log
	name Stream

	mutex sync.Mutex
	room  *sync.Cond
	// pending waits to be written; size is what was taken since the beginning, cut what was left out at the limit, lost
	// what was left out because the bucket could not be reached.
	pending         bytes.Buffer
	size, cut, lost int64
	failing, closed bool
	begun           bool
	wake            chan struct{}
	// closing is set by close, and closed when there is no more time for what is left to do.
	closing <-chan struct{}
	ended   chan error
}

func (l *Log) newStream(name Stream) *stream {
	s := &stream{log: l, name: name, wake: make(chan struct{}, 1), ended: make(chan error, 1)}
	s.room = sync.NewCond(&s.mutex)
	return s
}

func (s *stream) Write(data []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	if len(data) == 0 {
		return 0, nil
	}
	if !s.begun {
		s.begun = true
		go s.run()
	}
	written := len(data)
	data = s.withinLimit(data)
	for s.pending.Len() > maxPending && !s.failing && !s.closed {
		s.room.Wait()
	}
	if s.pending.Len() > maxPending {
		s.lost += int64(len(data))
		return written, nil
	}
	s.pending.Write(data)
	s.wakeUp()
	return written, nil
}

// withinLimit is the part of data that is kept. Where it is cut, a line says so.
func (s *stream) withinLimit(data []byte) []byte {
	limit := s.log.store.options.Limit
	left := limit - s.size
	switch {
	case s.cut > 0:
		s.cut += int64(len(data))
		return nil
	case int64(len(data)) <= left:
		s.size += int64(len(data))
		return data
	}
	s.size = limit
	s.cut = int64(len(data)) - left
	return fmt.Appendf(bytes.Clone(data[:left]), "\n[perdure] cut here: of each stream of a step, the first %d bytes are kept (logs.max_output_bytes)\n", limit)
}

func (s *stream) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close has the rest written, and answers when it is.
func (s *stream) close(ctx context.Context) <-chan error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		done := make(chan error, 1)
		done <- nil
		return done
	}
	s.closed, s.closing = true, ctx.Done()
	s.room.Broadcast()
	if !s.begun {
		s.ended <- nil
		return s.ended
	}
	if s.cut > 0 {
		fmt.Fprintf(&s.pending, "[perdure] %d bytes were cut\n", s.cut)
	}
	s.wakeUp()
	return s.ended
}

// run writes chunks until the stream is closed and all is written.
func (s *stream) run() {
	timer := time.NewTimer(s.log.store.options.FlushInterval)
	defer timer.Stop()
	number := 0
	for {
		<-s.wake
		s.awaitInterval(timer)
		chunk, closing := s.take()
		if len(chunk) > 0 {
			if err := s.write(closing, number, chunk); err != nil {
				s.ended <- err
				return
			}
			number++
		}
		if s.isDone() {
			s.ended <- nil
			return
		}
	}
}

// awaitInterval lets what is printed gather until the interval since the last chunk is over, there is much of it, or the
// stream is closed.
func (s *stream) awaitInterval(timer *time.Timer) {
	defer func() { timer.Reset(s.log.store.options.FlushInterval) }()
	for {
		s.mutex.Lock()
		now := s.closed || s.pending.Len() >= chunkSize
		s.mutex.Unlock()
		if now {
			return
		}
		select {
		case <-timer.C:
			return
		case <-s.wake:
		}
	}
}

func (s *stream) take() (chunk []byte, closing <-chan struct{}) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.lost > 0 {
		fmt.Fprintf(&s.pending, "\n[perdure] %d bytes are missing here: the bucket could not be reached\n", s.lost)
		s.lost = 0
	}
	chunk = bytes.Clone(s.pending.Bytes())
	s.pending.Reset()
	s.room.Broadcast()
	return chunk, s.closing
}

func (s *stream) isDone() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.closed && s.pending.Len() == 0 && s.lost == 0
}

// write tries until the chunk is written, or closing is closed.
func (s *stream) write(closing <-chan struct{}, number int, chunk []byte) error {
	for {
		err := s.writeOnce(closing, s.log.execution.chunk(s.name, number), chunk)
		s.mutex.Lock()
		s.failing, closing = err != nil, s.closing
		s.room.Broadcast()
		s.mutex.Unlock()
		if err == nil {
			return nil
		}
		select {
		case <-closing:
			return fmt.Errorf("store what step %s printed to %s: %w", s.log.execution.Step, s.name, err)
		default:
		}
		select {
		case <-time.After(retryPause):
		case <-closing:
		}
	}
}

func (s *stream) writeOnce(closing <-chan struct{}, name string, chunk []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	go func() {
		select {
		case <-closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return s.log.store.bucket.WriteAll(ctx, name, chunk, plainText)
}

// plainText is what every object holds.
var plainText = &blob.WriterOptions{ContentType: "text/plain; charset=utf-8"}
