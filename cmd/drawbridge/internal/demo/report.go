package demo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// step is one thing that must work.
type step struct {
	name string
	do   func(context.Context) error
}

// chapter is steps that build on each other.
type chapter []step

// report tells of each step in a line of its own.
type report struct {
	out    io.Writer
	now    func() time.Time
	failed int
}

// walk carries out the chapters. A step that fails takes the rest of its
// chapter with it; the next chapter has its chance.
func (r *report) walk(ctx context.Context, chapters []chapter) error {
	for _, c := range chapters {
		broken := ""
		for _, s := range c {
			if broken != "" {
				r.fail(s.name, fmt.Errorf("not reached, because of %q", broken))
				continue
			}
			if !r.step(ctx, s) {
				broken = s.name
			}
		}
	}
	if r.failed > 0 {
		return fmt.Errorf("%w: %d steps", ErrJourney, r.failed)
	}
	return nil
}

func (r *report) step(ctx context.Context, s step) bool {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := r.now()
	if err := s.do(bounded); err != nil {
		r.fail(s.name, err)
		return false
	}
	fmt.Fprintf(r.out, "ok    %s (%d ms)\n", s.name, r.now().Sub(began).Milliseconds())
	return true
}

func (r *report) fail(name string, err error) {
	r.failed++
	fmt.Fprintf(r.out, "FAIL  %s: %v\n", name, err)
}
