package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// door is one HTTP listener of the demo.
type door struct {
	listener net.Listener
	handler  http.Handler
}

// serve serves until the context ends, and lets requests under way finish.
func (d door) serve(ctx context.Context) error {
	server := &http.Server{
		Handler: d.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: patience, WriteTimeout: 2 * patience, IdleTimeout: time.Minute,
		MaxHeaderBytes: maxBody,
	}
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
		defer cancel()
		err := server.Shutdown(end)
		if err != nil {
			err = server.Close() // a browser keeps its connections longer than we wait
		}
		closed <- err
	})
	err := server.Serve(d.listener)
	if stop() { // it ended by itself
		return err
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-closed
}
