package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// write appends n numbered entries in commits of up to three.
func (f *fixture) write(from, n int) {
	f.Helper()
	var ops []store.Op
	for i := range n {
		ops = append(ops, f.event(fmt.Sprint(from+i)))
		if len(ops) == 1+i%3 || i == n-1 {
			f.commit(ops...)
			ops = nil
		}
	}
}

func logResumesAnywhere(f *fixture) {
	if entries := f.log(store.Position{}); len(entries) != 0 {
		f.Fatalf("a new log holds %q", entries)
	}
	before := f.now()
	f.write(0, 40)
	all := f.log(store.Position{})
	if len(all) != 40 {
		f.Fatalf("%d entries, want 40", len(all))
	}
	var last store.Position
	for i, e := range all {
		if string(e.Value) != fmt.Sprint(i) || e.Position.Compare(last) <= 0 || e.At.Before(before) || e.At.After(f.now()) {
			f.Fatalf("entry %d is %q at %v of %v, after %v", i, e.Value, e.Position, e.At, last)
		}
		last = e.Position
		if rest := f.log(last); len(rest) != len(all)-i-1 || len(rest) > 0 && rest[0].Position != all[i+1].Position {
			f.Fatalf("after %v there are %d entries", last, len(rest))
		}
	}
	some, err := f.Engine.ReadLog(f.Context(), f.at.Partition, all[4].Position, 10, time.Hour)
	if err != nil || len(some) != 10 || string(some[0].Value) != "5" || string(some[9].Value) != "14" {
		f.Fatalf("ten entries after the fifth are %q, %v", some, err)
	}
	f.reopen()
	if again := f.log(all[20].Position); len(again) != 19 || string(again[0].Value) != "21" || !again[0].At.Equal(all[21].At) {
		f.Fatalf("after reopening the log resumes with %q", again)
	}
	for _, n := range []int{0, -1} {
		if _, err := f.Engine.ReadLog(f.Context(), f.at.Partition, last, n, 0); err == nil {
			f.Fatalf("a read of %d entries is not refused", n)
		}
	}
}

func waitingReadsWake(f *fixture) {
	const readers = 5
	var after store.Position
	for i := range 10 {
		last := after
		read := make(chan []store.Entry, readers)
		errs := make(chan error, readers)
		for range readers {
			go func() {
				entries, err := f.Engine.ReadLog(f.Context(), f.at.Partition, last, 10, time.Hour)
				read <- entries
				errs <- err
			}()
		}
		// Neither a commit without an entry nor one that is refused wakes
		// anybody into an empty answer.
		f.commit(store.Put(f.key("a"), nil, time.Time{}))
		f.conflict(store.Create(f.key("a"), nil, time.Time{}), f.event("refused"))
		f.commit(f.event(fmt.Sprint(i)))
		for range readers {
			entries, err := <-read, <-errs
			if err != nil || len(entries) != 1 || string(entries[0].Value) != fmt.Sprint(i) {
				f.Fatalf("a waiting read answers %q, %v", entries, err)
			}
			after = entries[0].Position
		}
	}
}

func waitingReadsEnd(f *fixture) {
	f.commit(f.event("1"))
	last := f.log(store.Position{})[0].Position
	for _, wait := range []time.Duration{-1, 0, time.Nanosecond, 20 * time.Millisecond} {
		if entries, err := f.Engine.ReadLog(f.Context(), f.at.Partition, last, 1, wait); len(entries) != 0 || err != nil {
			f.Fatalf("a read that waits %v for nothing answers %q, %v", wait, entries, err)
		}
	}
	for name, end := range map[string]struct {
		end  func(cancel func())
		want error
	}{
		"cancelled": {func(cancel func()) { cancel() }, context.Canceled},
		"closed":    {func(func()) { _ = f.Engine.Close() }, store.ErrClosed},
	} {
		ctx, cancel := context.WithCancel(f.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := f.Engine.ReadLog(ctx, f.at.Partition, last, 1, time.Hour)
			ended <- err
		}()
		end.end(cancel)
		if err := <-ended; !errors.Is(err, end.want) {
			f.Fatalf("a read that is %s answers %v", name, err)
		}
		cancel()
		f.reopen()
	}
}

func logIsTrimmed(f *fixture) {
	trim := func(upTo store.Position) {
		f.Helper()
		if err := f.Engine.TrimLog(f.Context(), f.at.Partition, upTo); err != nil {
			f.Fatalf("trim up to %v: %v", upTo, err)
		}
	}
	trim(store.Position{})
	trim(store.Position{Epoch: 1, Seq: 100})
	f.write(0, 20)
	all := f.log(store.Position{})
	trim(store.Position{})
	trim(all[9].Position)
	trim(all[4].Position)
	for _, after := range []store.Position{{}, all[0].Position, all[8].Position} {
		_, err := f.Engine.ReadLog(f.Context(), f.at.Partition, after, 5, time.Hour)
		if !errors.Is(err, store.ErrTrimmed) {
			f.Fatalf("a read after %v answers %v", after, err)
		}
		trimmed, ok := errors.AsType[store.TrimmedError](err)
		if !ok || trimmed.UpTo != all[9].Position {
			f.Fatalf("the log goes on after %v, want %v", trimmed.UpTo, all[9].Position)
		}
	}
	if rest := f.log(all[9].Position); len(rest) != 10 || rest[0].Position != all[10].Position {
		f.Fatalf("after the trimmed entries there are %d", len(rest))
	}
	f.reopen()
	if _, err := f.Engine.ReadLog(f.Context(), f.at.Partition, all[8].Position, 5, 0); !errors.Is(err, store.ErrTrimmed) {
		f.Fatalf("after reopening a read after what was trimmed answers %v", err)
	}
	// A trim beyond the end takes what is there, and nothing that will come.
	end := all[19].Position
	trim(store.Position{Epoch: end.Epoch, Seq: end.Seq + 1000})
	if rest := f.log(end); len(rest) != 0 {
		f.Fatalf("a log that was trimmed whole holds %q", rest)
	}
	f.write(20, 3)
	if rest := f.log(end); len(rest) != 3 || string(rest[0].Value) != "20" {
		f.Fatalf("after the trim the log holds %q", rest)
	}
}

func positionsAreNeverUsedAgain(f *fixture) {
	var last store.Position
	for i := range 6 {
		f.write(10*i, 3)
		entries := f.log(last)
		if len(entries) != 3 || entries[0].Position.Compare(last) <= 0 {
			f.Fatalf("after %v come %v", last, entries)
		}
		last = entries[2].Position
		if err := f.Engine.TrimLog(f.Context(), f.at.Partition, last); err != nil {
			f.Fatal(err)
		}
		if i%2 == 0 {
			f.reopen()
		}
	}
}
