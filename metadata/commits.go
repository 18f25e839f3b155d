package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perdure-io/perdure/wire"
)

const (
	// commitsUnderWay is how many commits of steps a process makes beside each other. More would only wait for one another: each locks
	// the log's one row until it is on the disk.
	commitsUnderWay = 2
	// mostTogether is how many commits one transaction makes, mostBytes of how much JSON.
	mostTogether = 50
	mostBytes    = 1 << 20
	// turnPatience is how long a commit waits for its turn before it is made beside the others: they may wait for something.
	turnPatience = 2 * time.Second
)

// Commit records a step's outputs and ends it, all or nothing and once. Refused says that the fence no longer holds. While others of
// this process are under way it waits for them, and is then made together with those that wait as well, in one transaction.
func (s *Store) Commit(ctx context.Context, commit wire.Commit) (wire.Committed, error) {
	operation := fmt.Sprintf("commit step %q of run %q", commit.Step, commit.Run)
	waiting, err := s.commits.enter(commit)
	if err != nil {
		return wire.Committed{}, fmt.Errorf("%s: encode it: %w: %w", operation, ErrInvalid, err)
	}
	if waiting == nil {
		defer s.nextCommits(context.WithoutCancel(ctx))
		return call[wire.Committed](ctx, s, operation, "commit_step_v1", commit)
	}
	patience := time.NewTimer(turnPatience)
	defer patience.Stop()
	var answer commitAnswer
	select {
	case answer = <-waiting.answer:
	case <-ctx.Done():
		s.commits.leave(waiting)
		return wire.Committed{}, translate(ctx, operation, ctx.Err())
	case <-patience.C:
		if !s.commits.leave(waiting) {
			select {
			case answer = <-waiting.answer:
			case <-ctx.Done():
				return wire.Committed{}, translate(ctx, operation, ctx.Err())
			}
		}
	}
	switch {
	case answer.err != nil:
		return wire.Committed{}, fmt.Errorf("%s: %w", operation, answer.err)
	case answer.committed == nil:
		return call[wire.Committed](ctx, s, operation, "commit_step_v1", commit)
	}
	var committed wire.Committed
	if err := json.Unmarshal(answer.committed, &committed); err != nil {
		return wire.Committed{}, fmt.Errorf("%s: decode the answer: %w", operation, err)
	}
	return committed, nil
}

// nextCommits is called when a commit is no longer under way: those that wait meanwhile are made.
func (s *Store) nextCommits(ctx context.Context) {
	if together := s.commits.next(); len(together) > 0 {
		go func() {
			defer s.nextCommits(ctx)
			s.commitTogether(ctx, together)
		}()
	}
}

// commitTogether makes commits in one transaction. One that has no answer then is to be made alone: it cannot be made with others, or
// nothing was made because of one. Where it is not known whether they were made, that is the answer of each: what it does next depends
// on it.
func (s *Store) commitTogether(ctx context.Context, together []*waitingCommit) {
	commits := make([]json.RawMessage, len(together))
	for i, waiting := range together {
		commits[i] = waiting.commit
	}
	answers := make([]commitAnswer, len(together))
	if len(together) > 1 {
		made, err := call[struct {
			Answers []json.RawMessage `json:"answers"`
		}](ctx, s, fmt.Sprintf("commit it together with %d others", len(together)-1), "commit_steps_v1", struct {
			Commits []json.RawMessage `json:"commits"`
		}{commits})
		for i := range answers {
			switch {
			case errors.Is(err, ErrUnavailable):
				answers[i].err = err
			case err == nil && string(made.Answers[i]) != "null":
				answers[i].committed = made.Answers[i]
			}
		}
	}
	for i, waiting := range together {
		s.wakes(answers[i].committed)
		waiting.answer <- answers[i]
	}
}

// waitingCommit is a commit that waits for others.
type waitingCommit struct {
	commit json.RawMessage
	answer chan commitAnswer
}

// commitAnswer is what commit_step_v1 answers, or that nobody knows; neither, it is to be made alone.
type commitAnswer struct {
	committed json.RawMessage
	err       error
}

// commitQueue is the commits of a process that are under way, and those that wait for them.
type commitQueue struct {
	mu       sync.Mutex
	underWay int
	waiting  []*waitingCommit
}

// enter lets a commit begin, which is what nil says, or has it wait.
func (q *commitQueue) enter(commit wire.Commit) (*waitingCommit, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.underWay < commitsUnderWay {
		q.underWay++
		return nil, nil
	}
	data, err := json.Marshal(commit)
	if err != nil {
		return nil, err
	}
	waiting := &waitingCommit{commit: data, answer: make(chan commitAnswer, 1)}
	q.waiting = append(q.waiting, waiting)
	return waiting, nil
}

// leave says that one waits no longer; false, it is being made already.
func (q *commitQueue) leave(waiting *waitingCommit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, other := range q.waiting {
		if other == waiting {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// next ends what was under way, and takes those that wait: they are under way then.
func (q *commitQueue) next() []*waitingCommit {
	q.mu.Lock()
	defer q.mu.Unlock()
	count, size := 0, 0
	for count < min(len(q.waiting), mostTogether) {
		size += len(q.waiting[count].commit)
		if count++; size > mostBytes {
			break
		}
	}
	if count == 0 {
		q.underWay--
		return nil
	}
	together := q.waiting[:count:count]
	q.waiting = q.waiting[count:]
	return together
}
