package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

type healthCommand struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"The configuration file of the server."`
}

// Run asks the management listener of the same machine. It is the health check
// of a container, which has no other program in it.
func (c healthCommand) Run(ctx context.Context) error {
	src, err := readFile(c.Config)
	if err != nil {
		return err
	}
	cfg, problems := config.Load(c.Config, src, reach())
	if len(problems) > 0 {
		return problems.Err()
	}
	host, port, err := net.SplitHostPort(cfg.Management.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	// The certificate is for the name that others use; this asks the loopback.
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if cfg.Management.TLS != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return errors.New("the server does not answer")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: %s", res.Status)
	}
	return nil
}
