//go:build bench

package bench

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// served is a redis-server that is measured too.
type served struct{ *redistest.Server }

func startRedis(t *testing.T, conf ...string) served {
	t.Helper()
	return served{redistest.Start(t, conf...)}
}

// open is an engine over the server, as a node has one.
func (s served) open(t *testing.T) *redisstore.Engine {
	t.Helper()
	engine, err := redisstore.Open(t.Context(), redisstore.Options{Addresses: []string{s.Addr()}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// number is one number of INFO.
func (s served) number(t *testing.T, section, field string) float64 {
	t.Helper()
	for text := range strings.Lines(fmt.Sprint(s.Do(t, "INFO", section))) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(text), field+":"); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("INFO %s has no %s", section, field)
	return 0
}

// cpu is the processor time that the server has used, all its threads together.
func (s served) cpu(t *testing.T) time.Duration {
	t.Helper()
	seconds := s.number(t, "cpu", "used_cpu_user") + s.number(t, "cpu", "used_cpu_sys")
	return time.Duration(seconds * float64(time.Second))
}

// memory is what the server holds, less what is on its way to the log of commands.
func (s served) memory(t *testing.T) float64 {
	t.Helper()
	return s.number(t, "memory", "used_memory") - s.number(t, "memory", "mem_aof_buffer")
}

// heard is how often the server was sent each command while the work was done, by name and kinds of records. What a
// script calls is not sent. The server spends much on telling, so nothing else is measured meanwhile.
func (s served) heard(t *testing.T, work func()) map[string]int {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(conn)
	if text, err := said.ReadString('\n'); err != nil || text != "+OK\r\n" {
		t.Fatalf("MONITOR answers %q (%v)", text, err)
	}
	work()
	s.Do(t, "ECHO", "that was all")
	all := map[string]int{}
	for {
		text, err := said.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_, from, _ := strings.Cut(text, " [")
		client, command, _ := strings.Cut(from, "] ")
		words := words(command)
		if slices.Equal(words, []string{"ECHO", "that was all"}) {
			return all
		}
		if len(words) > 0 && !strings.HasSuffix(client, " lua") {
			all[commandName(words)]++
		}
	}
}

// words are the arguments of a command as MONITOR shows them, quoted as Go does it.
func words(command string) []string {
	var all []string
	for command = strings.TrimSpace(command); command != ""; command = strings.TrimSpace(command) {
		quoted, err := strconv.QuotedPrefix(command)
		if err != nil {
			return all
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return all
		}
		all, command = append(all, word), command[len(quoted):]
	}
	return all
}

// commandName is a command with the kinds of the records that it names.
func commandName(words []string) string {
	var kinds []string
	for _, word := range words[1:] {
		if kind := kindOf(word); kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	name := strings.ToUpper(words[0])
	if len(kinds) > 0 {
		name += " " + strings.Join(kinds, ", ")
	}
	return name
}

// kindOf is the kind of a record by its key: the key has the partition's tag, the kind's length, and the kind.
func kindOf(key string) string {
	tag, rest, ok := strings.Cut(key, "}")
	if !ok || !strings.HasPrefix(tag, "{") || rest == "" {
		return ""
	}
	size := int(rest[0])
	if size == 0 || size >= 'a' || len(rest) <= size {
		return ""
	}
	return rest[1 : 1+size]
}

// perRequest are the commands that n requests caused, most frequent first, and how many of each a request takes. What
// was sent for fewer than every fifth is the housekeeping of all nodes.
func perRequest(all map[string]int, n int) (names []string, each []float64) {
	names = slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if all[a] != all[b] {
			return all[b] - all[a]
		}
		return strings.Compare(a, b)
	})
	names = slices.DeleteFunc(names, func(name string) bool { return 5*all[name] < n })
	for _, name := range names {
		each = append(each, float64(all[name])/float64(n))
	}
	return names, each
}
