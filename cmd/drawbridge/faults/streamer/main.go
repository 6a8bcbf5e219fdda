//go:build faults

// Command streamer is a node of the fault harness that runs strict streams over
// a Redis store: what event webhooks will be made of, with nothing around them.
// It appends the events that it is asked to, and delivers them in order.
//
// It is configured by a JSON file, its one argument, and answers
//
//	GET  /readyz
//	POST /append?id=&partition=        200 once the event is committed
//	POST /start?stream=                200 once the stream runs again
//	POST /stop?stream=                 200 once the stream stands still
//	GET  /cursor?stream=               the stream's cursor
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// settings are the file.
type settings struct {
	Node       string   `json:"node"`
	Listen     string   `json:"listen"`
	Addresses  []string `json:"addresses"`
	MasterName string   `json:"master_name"`
	Cluster    bool     `json:"cluster"`
	Replicas   int      `json:"replicas"`
	Spool      string   `json:"spool"`
	Partitions int      `json:"partitions"`
	// Receiver is what the streams post to, with their name behind it. Each
	// partition has one stream, named stream-<partition>.
	Receiver string `json:"receiver"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var set settings
	if err := json.Unmarshal(text, &set); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	engine, err := redisstore.Open(ctx, redisstore.Options{
		Addresses: set.Addresses, MasterName: set.MasterName, Cluster: set.Cluster, Partitions: set.Partitions,
		Replicas: set.Replicas, SpoolPath: set.Spool, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	h := &house{set: set, engine: engine, events: sessionhooks.NewLog(engine, nil, time.Hour), log: log}
	workers, err := h.build()
	if err != nil {
		return errors.Join(err, engine.Close())
	}
	return errors.Join(h.serve(ctx, workers), engine.Close())
}

// house is one node.
type house struct {
	set     settings
	engine  *redisstore.Engine
	events  *sessionhooks.Log
	streams []*delivery.Stream
	log     *slog.Logger
}

// quick is a schedule for tests: what fails is tried again soon.
func quick() delivery.Schedule {
	s := make(delivery.Schedule, 40)
	for i := range s {
		s[i] = 500 * time.Millisecond
	}
	return s
}

// build makes the streams, and a worker for each partition.
func (h *house) build() (workers []*delivery.Worker, err error) {
	client := &http.Client{Timeout: 4 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for p := range h.set.Partitions {
		s, err := delivery.NewStream(delivery.StreamOptions{
			Engine: h.engine, Log: h.events, Place: placeOf(p), Name: "stream-" + strconv.Itoa(p), Logger: h.log, Schedule: quick(), Timeout: 5 * time.Second,
			Wants: func(sessionhooks.Stored) bool { return true },
			Send:  func(ctx context.Context, s sessionhooks.Stored) delivery.Outcome { return h.post(ctx, client, p, s) },
		})
		if err != nil {
			return nil, err
		}
		h.streams = append(h.streams, s)
	}
	for p := range h.set.Partitions {
		w, err := delivery.New(delivery.Options{
			Engine: h.engine, Queue: delivery.NewQueue(h.engine, nil), Partition: store.Partition(p), Node: h.set.Node, Log: h.log, Now: time.Now,
			Streams: func() []*delivery.Stream { return h.streams },
		})
		if err != nil {
			return nil, err
		}
		workers = append(workers, w)
	}
	return workers, nil
}

// placeOf is a tenant that lives in a partition.
func placeOf(p int) store.Place {
	return store.Place{Tenant: "tenant-" + strconv.Itoa(p), Partition: store.Partition(p)}
}

// post sends one event.
func (h *house) post(ctx context.Context, client *http.Client, p int, s sessionhooks.Stored) delivery.Outcome {
	name := "stream-" + strconv.Itoa(p)
	body, err := json.Marshal(s.Event)
	if err != nil {
		return delivery.Outcome{Verdict: delivery.Reject, Reason: "encode", Cause: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.set.Receiver+name, bytes.NewReader(body))
	if err != nil {
		return delivery.Outcome{Verdict: delivery.Reject, Reason: "address", Cause: err}
	}
	req.Header.Set("X-Event", s.Event.ID)
	sessionhooks.Sign(req.Header, name+"_"+s.Event.ID, time.Now(), body)
	res, err := client.Do(req)
	if err != nil {
		return delivery.Judge(0, err)
	}
	defer res.Body.Close()
	return delivery.Judge(res.StatusCode, nil)
}

// serve works and answers until ctx ends.
func (h *house) serve(ctx context.Context, workers []*delivery.Worker) error {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	routes.HandleFunc("POST /append", h.append)
	routes.HandleFunc("POST /start", h.order(func(ctx context.Context, s *delivery.Stream) error { return s.Start(ctx) }))
	routes.HandleFunc("POST /stop", h.order(func(ctx context.Context, s *delivery.Stream) error { return s.Stop(ctx, "operator") }))
	routes.HandleFunc("GET /cursor", h.cursor)
	server := &http.Server{Addr: h.set.Listen, Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var group sync.WaitGroup
	failed := make(chan error, len(workers)+2)
	for _, w := range workers {
		group.Go(func() { failed <- w.Run(work) })
	}
	group.Go(func() { failed <- h.engine.Run(work) })
	group.Go(func() {
		err := server.ListenAndServe()
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		failed <- err
	})
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(err, server.Shutdown(last))
	end()
	group.Wait()
	return err
}

func (h *house) append(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p, err := strconv.Atoi(q.Get("partition"))
	if err != nil || p < 0 || p >= h.set.Partitions {
		http.Error(w, "no such partition", http.StatusBadRequest)
		return
	}
	now, err := h.engine.Now(r.Context())
	if err == nil {
		e := sessionhooks.Event{ID: q.Get("id"), Stream: sessionhooks.StreamSession, Type: "Streamed", Tenant: placeOf(p).Tenant, Aggregate: q.Get("id"), Occurred: now, Detected: now}
		_, err = h.engine.Commit(r.Context(), append(h.events.Append(placeOf(p), e), store.Create(placeOf(p).Key("streamed", e.ID), []byte{1}, time.Time{}))...)
	}
	reply(w, err)
}

// order is a handler that does something to a stream.
func (h *house) order(do func(context.Context, *delivery.Stream) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := h.stream(r)
		if err == nil {
			err = do(r.Context(), s)
		}
		reply(w, err)
	}
}

func (h *house) cursor(w http.ResponseWriter, r *http.Request) {
	s, err := h.stream(r)
	if err != nil {
		reply(w, err)
		return
	}
	c, err := s.Cursor(r.Context())
	if err != nil {
		reply(w, err)
		return
	}
	_ = json.NewEncoder(w).Encode(c) // a client that has gone needs no answer
}

func (h *house) stream(r *http.Request) (*delivery.Stream, error) {
	for p, s := range h.streams {
		if r.URL.Query().Get("stream") == "stream-"+strconv.Itoa(p) {
			return s, nil
		}
	}
	return nil, errors.New("no such stream")
}

// reply says whether something happened. 503 leaves that open.
func reply(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}
