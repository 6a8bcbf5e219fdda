package session

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// at is so many minutes after the noon on which these tests happen.
func at(minutes float64) time.Time {
	return time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC).Add(time.Duration(minutes * float64(time.Minute)))
}

func TestWhatAPulseBecomes(t *testing.T) {
	old := gap{From: at(-90), To: at(-80)}
	for name, c := range map[string]struct {
		before pulse
		seen   sight
		write  bool
		news   bool
		gaps   gaps
	}{
		"the first":             {seen: sight{now: at(0)}, write: true},
		"fresh":                 {before: pulse{Lead: 7, At: at(0)}, seen: sight{now: at(0.2)}},
		"its leader has gone":   {before: pulse{At: at(0), Gaps: gaps{old}}, seen: sight{now: at(0.01)}, write: true, gaps: gaps{old}},
		"a beat":                {before: pulse{At: at(0), Gaps: gaps{old}}, seen: sight{now: at(0.25)}, write: true, gaps: gaps{old}},
		"a beat a little late":  {before: pulse{At: at(0)}, seen: sight{now: at(1)}, write: true},
		"nobody was there":      {before: pulse{At: at(0)}, seen: sight{now: at(120)}, write: true, news: true, gaps: gaps{{From: at(0), To: at(120)}}},
		"the clock jumped":      {before: pulse{At: at(0)}, seen: sight{now: at(60), ahead: time.Hour}, write: true, news: true, gaps: gaps{{From: at(0), To: at(60), Clock: true}}},
		"suspended alone":       {before: pulse{Lead: 7, At: at(59.9)}, seen: sight{now: at(60), ahead: time.Hour}},
		"second to see a jump":  {before: pulse{At: at(60), Gaps: gaps{{From: at(0), To: at(60)}}}, seen: sight{now: at(60.1), ahead: time.Hour}, write: true, news: true, gaps: gaps{{From: at(0), To: at(60.1), Clock: true}}},
		"third to see a jump":   {before: pulse{Lead: 7, At: at(60), Gaps: gaps{{From: at(0), To: at(60), Clock: true}}}, seen: sight{now: at(60.1), ahead: time.Hour}, gaps: gaps{{From: at(0), To: at(60), Clock: true}}},
		"cut off alone":         {before: pulse{At: at(29.9)}, seen: sight{now: at(30), away: 20 * time.Minute}, write: true, news: true, gaps: gaps{{From: at(10), To: at(30)}}},
		"cut off for a moment":  {before: pulse{Lead: 7, At: at(29.9)}, seen: sight{now: at(30), away: 9 * time.Second}},
		"two see one outage":    {before: pulse{At: at(30), Gaps: gaps{{From: at(10), To: at(30)}}}, seen: sight{now: at(30.1), away: 15 * time.Minute}, write: true, news: true, gaps: gaps{{From: at(10), To: at(30.1)}}},
		"the clock was set":     {before: pulse{At: at(60), Gaps: gaps{old, {From: at(0), To: at(60), Clock: true}}}, seen: sight{now: at(10)}, write: true, gaps: gaps{old}},
		"gaps nobody remembers": {before: pulse{At: at(0), Gaps: gaps{{From: at(-60 * 24 * 40), To: at(-60 * 24 * 32)}}}, seen: sight{now: at(2)}, write: true, news: true, gaps: gaps{{From: at(0), To: at(2)}}},
	} {
		t.Run(name, func(t *testing.T) {
			had := slices.Clone(c.before.Gaps)
			after, write, news := c.before.next(c.seen)
			if write != c.write || (news != nil) != c.news {
				t.Errorf("write %v, news %v", write, news)
			}
			if !slices.Equal(c.before.Gaps, had) {
				t.Error("what was read was changed")
			}
			if write && (!after.At.Equal(c.seen.now) || !slices.Equal(after.Gaps, c.gaps)) {
				t.Errorf("pulse %+v, want gaps %v", after, c.gaps)
			}
		})
	}
}

func TestGapsAreBounded(t *testing.T) {
	p := pulse{At: at(0)}
	for i := range 100 {
		p, _, _ = p.next(sight{now: at(float64(i+1) * 10)})
		p.At = p.At.Add(time.Minute) // they do not touch
	}
	if len(p.Gaps) != gapsMost || !p.Gaps[gapsMost-1].To.Equal(at(1000)) {
		t.Errorf("%d gaps up to %v", len(p.Gaps), p.Gaps[len(p.Gaps)-1].To)
	}
}

func TestWhatGapsForgive(t *testing.T) {
	out, jump := gap{From: at(0), To: at(120)}, gap{From: at(0), To: at(120), Clock: true}
	for name, c := range map[string]struct {
		gaps   gaps
		expire bool
		began  float64 // minutes before noon
		active float64
		idle   float64 // when it is idle, in minutes after noon
		hold   float64 // until when the sweeper leaves it be
	}{
		"no gap":                      {began: 10, active: 5, idle: 25, hold: 25},
		"active before":               {gaps: gaps{out}, began: 10, active: 5, idle: 145, hold: 145},
		"active before, no grace":     {gaps: gaps{out}, expire: true, began: 10, active: 5, idle: 25, hold: 25},
		"a jump, no grace":            {gaps: gaps{jump}, expire: true, began: 10, active: 5, idle: 145, hold: 145},
		"idle before":                 {gaps: gaps{out}, began: 60, active: 31, idle: -1, hold: -1},
		"idle to the moment":          {gaps: gaps{out}, began: 60, active: 30, idle: 0, hold: 0},
		"active since":                {gaps: gaps{out}, began: 10, active: -121, idle: 151, hold: 151},
		"active at the end":           {gaps: gaps{out}, began: 10, active: -120, idle: 150, hold: 150},
		"active inside, by the clock": {gaps: gaps{out}, began: 10, active: -60, idle: 150, hold: 150},
		"two":                         {gaps: gaps{out, {From: at(130), To: at(140)}}, began: 10, active: 5, idle: 155, hold: 155},
		"two, the second too late":    {gaps: gaps{out, {From: at(146), To: at(150)}}, began: 10, active: 5, idle: 145, hold: 145},
		"the maximum comes first":     {gaps: gaps{out}, began: 8*60 - 100, active: 5, idle: 145, hold: 100},
		"the clock made the maximum":  {gaps: gaps{jump}, began: 8*60 - 100, active: 5, idle: 145, hold: 145},
		"the maximum came before":     {gaps: gaps{jump}, began: 8*60 + 1, active: 5, idle: 145, hold: -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := federation.Session{Began: at(-c.began), Active: at(-c.active), Idle: idle, Max: most}
			got := c.gaps.credit(s, !c.expire)
			if ends := got.Active.Add(got.Idle); !ends.Equal(at(c.idle)) {
				t.Errorf("idle at %v", ends.Sub(at(0)))
			}
			if until := c.gaps.hold(got); !until.Equal(at(c.hold)) {
				t.Errorf("held until %v", until.Sub(at(0)))
			}
		})
	}
}
