package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// State says where a job is.
type State string

// The states of a job.
const (
	Pending State = "pending"
	Done    State = "delivered"
	Dead    State = "dead"
)

// Job is one thing to be sent to one target.
type Job struct {
	// ID is `<target>_<uuid>`: unique within the tenant and the sender. It is
	// the same on every attempt, also after a replay.
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	// Sender names the Sender, Target what it sends to.
	Sender string `json:"sender"`
	Target string `json:"target"`
	// Event is the id of the event that caused the job, Aggregate that of what
	// the event is about, Kind its type, About the session that ended.
	Event     string `json:"event,omitempty"`
	Aggregate string `json:"aggregate,omitempty"`
	Kind      string `json:"kind,omitempty"`
	About     string `json:"about,omitempty"`
	// Body is what the sender needs beside the event's data.
	Body     json.RawMessage `json:"body,omitempty"`
	State    State           `json:"state"`
	Occurred time.Time       `json:"occurred"`
	Created  time.Time       `json:"created"`
	// Next is when it is due, if pending.
	Next     time.Time `json:"next"`
	Finished time.Time `json:"finished"`
	// Failed counts the failed attempts of this run; a replay begins anew.
	Failed int `json:"failed"`
	// Attempts are the newest fifty, the oldest of them first.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Due is the id of the due record, while pending.
	Due string `json:"due,omitempty"`
}

// Attempt is one try to send, as recorded.
type Attempt struct {
	At time.Time `json:"at"`
	// Took is how long it took, to the nanosecond.
	Took   time.Duration `json:"took"`
	Status int           `json:"status,omitempty"`
	Result string        `json:"result"`
	Reason string        `json:"reason"`
}

// ended is when the attempt was over.
func (a Attempt) ended() time.Time { return a.At.Add(a.Took) }

const maxAttempts = 50

// Retention of finished jobs: long enough to be looked into.
const (
	keepDone = 7 * 24 * time.Hour
	keepDead = 30 * 24 * time.Hour
)

// Queue is the jobs of a store: a record for each, and one of the partition
// that says when it is due, while it is pending.
type Queue struct {
	eng  store.Engine
	jobs *store.Table[Job]
	dues *store.Table[struct{}]
}

// NewQueue makes a view of an engine's jobs, sealed at rest where a sealer is given.
func NewQueue(eng store.Engine, sealer *store.Sealer) *Queue {
	return &Queue{eng: eng,
		jobs: store.NewTable[Job](eng, store.TableOptions{Kind: "job", Schema: 1, Sealer: sealer}),
		dues: store.NewTable[struct{}](eng, store.TableOptions{Kind: "job_due", Schema: 1}),
	}
}

// Enqueue is the operations that put a job into the queue, due at j.Next, for
// the commit of the change that causes it. ID, Tenant, State and Due are the
// queue's to fill. The commit fails where sender or target are missing, or the
// sender has a slash in its name.
func (q *Queue) Enqueue(at store.Place, j Job) []store.Op {
	if j.Sender == "" || j.Target == "" || strings.Contains(j.Sender, "/") {
		return []store.Op{store.Bad(fmt.Errorf("delivery: a job for sender %q and target %q", j.Sender, j.Target))}
	}
	j.ID = j.Target + "_" + sessionhooks.NewID()
	j.Tenant, j.State = at.Tenant, Pending
	j.Due = dueID(at, j)
	return []store.Op{
		q.jobs.Create(at, key(j), j, time.Time{}),
		q.dues.Create(at.Own(), j.Due, struct{}{}, time.Time{}),
	}
}

// key is a job's record: jobs of one target stand together, oldest first.
func key(j Job) string { return j.Sender + "/" + j.ID }

// dueID is the due record of a job that is due at j.Next.
func dueID(at store.Place, j Job) string { return store.DueID(j.Next, at.Tenant+"/"+key(j)) }

// due is a due record: when which job is due.
type due struct {
	id   string
	when time.Time
	// at and key find the job.
	at  store.Place
	key string
}

func parseDue(p store.Partition, id string) (due, error) {
	when, name, err := store.ParseDueID(id)
	if err != nil {
		return due{}, err
	}
	tenant, key, found := strings.Cut(name, "/")
	if !found || key == "" {
		return due{}, errors.New("delivery: a due record names no job")
	}
	return due{id: id, when: when, at: store.Place{Tenant: tenant, Partition: p}, key: key}, nil
}

// job names the job within the partition.
func (d due) job() string { return d.at.Tenant + "/" + d.key }

// lane names what jobs take turns with: those of one target of one sender of
// one tenant.
func (d due) lane() string {
	name := d.job()
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		return name[:i]
	}
	return name
}
