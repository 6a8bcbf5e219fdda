package delivery

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// places are all places of one tenant, at least one. A delivery is in one of
// them, and its id does not say in which.
type places []store.Place

func (p places) tenant() string { return p[0].Tenant }

// any asks one place after the other until one has the job: a webhook's, or else
// a client's of the same name, which no uuid lets happen.
func (p places) any(ask func(at store.Place, sender string) (Job, error)) (j Job, err error) {
	for _, at := range p {
		for _, sender := range []string{SessionWebhooks, LogoutTokens} {
			if j, err = ask(at, sender); !errors.Is(err, ErrNoJob) {
				return j, err
			}
		}
	}
	return j, err
}

// list is Queue.List over all places, in the order of the ids. A place that was
// not read to its end bounds the page: beyond, it may have jobs that come first.
func (p places) list(ctx context.Context, q *Queue, sender, target string, state State, after string, n int) (jobs []Job, next string, err error) {
	for _, at := range p {
		some, end, err := q.List(ctx, at, sender, target, state, after, n)
		if err != nil {
			return nil, "", err
		}
		jobs = append(jobs, some...)
		if end != "" && (next == "" || end < next) {
			next = end
		}
	}
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	if next != "" {
		jobs = slices.DeleteFunc(jobs, func(j Job) bool { return j.ID > next })
	}
	if len(jobs) > n {
		jobs = jobs[:n]
		next = jobs[n-1].ID
	}
	return jobs, next, nil
}
