package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrNoJob says that there is no such job.
var ErrNoJob = errors.New("delivery: no such job")

// Get reads a job, or answers ErrNoJob.
func (q *Queue) Get(ctx context.Context, at store.Place, sender, id string) (Job, error) {
	row, err := q.jobs.Get(ctx, at, sender+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return Job{}, ErrNoJob
	}
	return row.Value, err
}

const (
	listPage = 200
	// listDepth bounds what one List looks at, when few jobs match.
	listDepth = 10 * listPage
)

// List reads up to n jobs of a target in a state (empty: any), oldest first,
// after a job's id. Next is where to go on, empty at the end; where few jobs
// match, a page may have fewer than n and still not be the last.
func (q *Queue) List(ctx context.Context, at store.Place, sender, target string, state State, after string, n int) (jobs []Job, next string, err error) {
	if after != "" {
		after = sender + "/" + after
	}
	for looked := 0; looked < listDepth; looked += listPage {
		rows, err := q.jobs.Scan(ctx, at, sender+"/"+target+"_", after, listPage)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			if j := row.Value; j.Target == target && (state == "" || j.State == state) {
				if len(jobs) == n {
					return jobs, next, nil
				}
				jobs = append(jobs, j)
			}
			after, next = row.ID, row.Value.ID
		}
		if len(rows) < listPage {
			return jobs, "", nil
		}
	}
	return jobs, next, nil
}

// Replay makes a job due again, now, with a fresh budget. Its record of attempts
// goes on. ErrNoJob where there is none, or no more.
func (q *Queue) Replay(ctx context.Context, at store.Place, sender, id string, now time.Time) (Job, error) {
	var replayed Job
	_, err := store.Update(ctx, q.eng, func(ctx context.Context) ([]store.Op, error) {
		row, err := q.jobs.Get(ctx, at, sender+"/"+id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ErrNoJob
		}
		if err != nil {
			return nil, err
		}
		j := row.Value
		j.State, j.Failed, j.Next, j.Finished = Pending, 0, now, time.Time{}
		replayed = j
		return q.reschedule(at, row, &replayed), nil
	})
	if err != nil && !errors.Is(err, ErrNoJob) {
		err = fmt.Errorf("replay: %w", err)
	}
	return replayed, err
}

// reschedule is the operations that make a job due at j.Next, whenever it was
// due before.
func (q *Queue) reschedule(at store.Place, row store.Row[Job], j *Job) []store.Op {
	j.Due = dueID(at, *j)
	ops := []store.Op{
		q.jobs.Replace(at, row.ID, *j, row.Version, time.Time{}),
		q.dues.Put(at.Own(), j.Due, struct{}{}, time.Time{}),
	}
	if was := row.Value.Due; was != "" && was != j.Due {
		ops = append(ops, q.dues.Drop(at.Own(), was))
	}
	return ops
}

// settle is the operations that record an attempt: what follows, when, and for
// how long the record is kept.
func (q *Queue) settle(at store.Place, row store.Row[Job], o Outcome, a Attempt, s Schedule, chance float64) (Job, []store.Op) {
	j := row.Value
	j.Attempts = append(j.Attempts, a)
	if over := len(j.Attempts) - maxAttempts; over > 0 {
		j.Attempts = j.Attempts[over:]
	}
	if o.Verdict == Delivered {
		return j, q.finish(at, row, &j, Done, a.ended(), keepDone)
	}
	j.Failed++
	wait, again := s.Wait(j.Failed, o.RetryAfter, chance)
	if o.Verdict == Reject || !again {
		return j, q.finish(at, row, &j, Dead, a.ended(), keepDead)
	}
	j.Next = a.ended().Add(wait)
	return j, q.reschedule(at, row, &j)
}

func (q *Queue) finish(at store.Place, row store.Row[Job], j *Job, s State, when time.Time, keep time.Duration) []store.Op {
	was := j.Due
	j.State, j.Finished, j.Due, j.Next = s, when, "", time.Time{}
	return []store.Op{
		q.jobs.Replace(at, row.ID, *j, row.Version, when.Add(keep)),
		q.dues.Drop(at.Own(), was),
	}
}
