package redistest

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

const waitPatience = 30 * time.Second

// wait polls until there is nothing missing any more, and ends the test with
// what is when that takes too long.
func wait(t testing.TB, missing func() string) {
	t.Helper()
	patience := time.Now().Add(waitPatience)
	for {
		what := missing()
		if what == "" {
			return
		}
		if time.Now().After(patience) {
			t.Fatalf("redistest: after %v: %s", waitPatience, what)
		}
		time.Sleep(2 * pollEvery)
	}
}

// info is one section of INFO, or empty where the server does not answer.
func (s *Server) info(t testing.TB, section string) map[string]string {
	said, err := s.Try(t.Context(), "INFO", section)
	text, ok := said.(string)
	if err != nil || !ok {
		return nil
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// follows says what is missing until s replicates from the server at addr and
// has come as far as offset.
func (s *Server) follows(t testing.TB, addr string, offset int) string {
	info := s.info(t, "replication")
	if at := info["master_host"] + ":" + info["master_port"]; at != addr || info["master_link_status"] != "up" {
		return s.Addr() + " follows " + at + ", link " + info["master_link_status"] + ", and not " + addr
	}
	if reached, err := strconv.Atoi(info["slave_repl_offset"]); err != nil || reached < offset {
		return s.Addr() + " has reached " + info["slave_repl_offset"] + " of " + strconv.Itoa(offset)
	}
	return ""
}
