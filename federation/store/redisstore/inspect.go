package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// inspect refuses servers that would lose what they are given.
func (e *Engine) inspect(ctx context.Context) error {
	began := e.o.Now()
	for n := 0; ; n++ {
		err := e.data.masters(ctx, func(ctx context.Context, c *redis.Client) error {
			ctx, cancel := context.WithTimeout(ctx, e.answerTime())
			defer cancel()
			return e.inspectServer(ctx, c)
		})
		if err == nil || errors.Is(err, errUnfit) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !judge(err).again() || !e.rest(ctx, n, began) {
			return unavailable(err)
		}
	}
}

var errUnfit = errors.New("this Redis is not fit to be a store")

func unfit(why string, args ...any) error {
	return fmt.Errorf("%w: %s", errUnfit, fmt.Sprintf(why, args...))
}

func (e *Engine) inspectServer(ctx context.Context, c *redis.Client) error {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	version := infoField(info, "valkey_version")
	if version == "" {
		version = infoField(info, "redis_version")
	}
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return unfit("it is version %q, and 7.0 is the least", version)
	}
	if e.o.AllowVolatile {
		return nil
	}
	persistent, policy, err := settings(ctx, c)
	switch {
	case err != nil:
		return err
	case policy == "":
		return unfit("neither CONFIG nor INFO says whether it keeps what it is given; AllowVolatile takes it as it is")
	case !persistent:
		return unfit("it keeps everything in memory only (appendonly no, save \"\"); AllowVolatile takes it as it is")
	case policy != "noeviction":
		return unfit("it evicts keys when memory is short (maxmemory-policy %s); AllowVolatile takes it as it is", policy)
	}
	return nil
}

// settings asks CONFIG, and INFO where that is forbidden. INFO does not tell of
// snapshots, so there only a log of commands counts as persistence.
func settings(ctx context.Context, c *redis.Client) (persistent bool, policy string, err error) {
	conf := map[string]string{}
	for _, name := range []string{"appendonly", "save", "maxmemory-policy"} {
		got, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			if f := judge(err); f != refused && f != failed {
				return false, "", err
			}
			conf = nil
			break
		}
		conf[name] = got[name]
	}
	if conf != nil && conf["maxmemory-policy"] != "" {
		return conf["appendonly"] == "yes" || conf["save"] != "", conf["maxmemory-policy"], nil
	}
	var info strings.Builder
	for _, section := range []string{"persistence", "memory"} {
		got, err := c.Info(ctx, section).Result()
		if err != nil {
			if f := judge(err); f != refused && f != failed {
				return false, "", err
			}
			return false, "", nil
		}
		info.WriteString(got)
	}
	return infoField(info.String(), "aof_enabled") == "1", infoField(info.String(), "maxmemory_policy"), nil
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
