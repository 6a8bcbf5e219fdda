package redisstore

import (
	"crypto/sha1" // the name that Redis gives to scripts
	"encoding/hex"
)

// script is a Lua script and the name that Redis keeps it under.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

type scripts struct{ commit, begin, advance, scan, prune, walk, trim script }

func newScripts() scripts {
	return scripts{
		commit:  newScript(commitScript),
		begin:   newScript(beginScript),
		advance: newScript(advanceScript),
		scan:    newScript(scanScript),
		prune:   newScript(pruneScript),
		walk:    newScript(walkScript),
		trim:    newScript(trimScript),
	}
}

// The first line makes Redis (7.0 and later) refuse a script as a whole, before
// it begins, on a replica, out of memory, or where it may not write. Every key
// that commitScript changes is declared, so a cluster refuses it as a whole too.

// commitScript judges and makes a batch of commits of one partition.
//
//	KEYS  1 meta, 2 version, 3 mark, 4 log, 5… records (those to be judged
//	      first: those that should not exist, then those that should), indexes
//	ARGV  1 meta as expected, 2 stream id of the epoch, 3 line of INFO that names
//	      the history, 4 number of the batch, 5 latest server time (µs) to run at,
//	      6 skew (µs), 7 life of the mark (ms), 8 number of commits, 9 and 10 how
//	      many records of both sorts are to be judged, 11 version before a replay
//	      or 0, 12 program, 13 records' indexes and id offsets, 14… values
//
// Programs are numbers of 7 bytes: for each commit how many checks, writes and
// values it has; checks are record and version, writes are verb, record, and the
// millisecond in which Redis may remove it. Where there is one, it is also
// behind the value, as text: making that of a number takes the server long.
//
// It answers a status and the server's time: 0 done (with the version before the
// batch and a letter per commit), 1 another meta, 2 another history, 3 too late,
// 4 keys are missing.
//
// Reads come first; what they say is kept in tables that the commits are judged
// by and change, so that a batch writes each record once, and at the end.
// Redis hashes every string that Lua gets to see from end to end. Long values
// are therefore read in part, and made once.
const commitScript = `#!lua
local call, take, pack, sub = redis.call, struct.unpack, struct.pack, string.sub
local head = call('MGET', KEYS[1], KEYS[2], KEYS[3])
local clock = call('TIME')
local real = clock[1] * 1000000 + clock[2]
if head[1] ~= ARGV[1] then return {1, real, head[1] or ''} end
if not string.find(call('INFO', 'replication'), ARGV[3], 1, true) then return {2, real} end
if not head[2] then return {4, real} end
local number = tonumber(ARGV[4])
if head[3] then
  local last, base = take('>I7I7', head[3])
  if last == number then
    call('PEXPIRE', KEYS[3], ARGV[7])
    return {0, real, base, sub(head[3], 15)}
  end
  if last > number then return {3, real} end
end
if real > tonumber(ARGV[5]) then return {3, real} end

local micros = real + ARGV[6]
local second = math.floor(micros / 1000000)
local nano = (micros - second * 1000000) * 1000
local function gone(s, n)
  return (s > 0 or n > 0) and (s < second or (s == second and n <= nano))
end
local function numbers(packed)
  local n = #packed / 7
  if n <= 3000 then return {take('>' .. string.rep('I7', n), packed)} end
  local out, format = {}, '>' .. string.rep('I7', 1000)
  for from = 0, n - 1, 1000 do
    local some = n - from < 1000 and '>' .. string.rep('I7', n - from) or format
    local part = {take(some, packed, from * 7 + 1)}
    for i = 1, math.min(1000, n - from) do out[from + i] = part[i] end
  end
  return out
end

local replay = tonumber(ARGV[11])
local live, stored = {}, {}
local function judged(k, value)
  local version, s, n = 0, 0, 0
  if value and value ~= '' then
    version, s, n = take('>I7I5I4', value)
    stored[k] = version
    if s + n > 0 and gone(s, n) then version = 0 end
  end
  live[k] = version
end
local absent = 4 + ARGV[9]
local present = absent + ARGV[10]
for from = 5, absent, 1000 do
  local to = math.min(from + 999, absent)
  local values = call('MGET', unpack(KEYS, from, to))
  for k = from, to do judged(k, values[k - from + 1]) end
end
for k = absent + 1, present do judged(k, call('GETRANGE', KEYS[k], 0, 15)) end

local program, at, val = numbers(ARGV[12]), 1, 14
local answers, base, done, commits, total = {}, nil, 0, 0, tonumber(ARGV[8])
local touched, final, remove, list = {}, {}, {}, {}
local time = pack('>I7', micros)
while commits < total do
  local checks, writes, vals = at + 2 * program[at] + 2, program[at + 1], program[at + 2]
  at = at + 3
  commits = commits + 1
  local fine = true
  while at < checks do
    if live[program[at]] ~= program[at + 1] then fine = false break end
    at = at + 2
  end
  at = checks + 1
  if not fine then
    answers[commits] = '0'
    at, val = at + 2 * writes, val + vals
  else
    answers[commits] = '1'
    if not base then
      base = replay
      if replay == 0 then base = call('INCRBY', KEYS[2], ARGV[8]) - ARGV[8] end
    end
    done = done + 1
    local version = base + done
    if replay > 0 then version = base + commits end
    local stamp = pack('>I7', version)
    for _ = 1, writes do
      local verb, k = program[at], program[at + 1]
      at = at + 2
      if verb == 7 then
        if not call('XADD', KEYS[4], 'NOMKSTREAM', ARGV[2], 'v', time .. ARGV[val]) then
          return {4, real}
        end
        val = val + 1
      elseif verb == 3 or verb == 6 then
        if replay == 0 or verb == 3 or (stored[k] or 0) <= version then
          if final[k] == nil then touched[#touched + 1] = k end
          final[k], live[k], stored[k] = false, 0, nil
        end
      else
        local expiry, over = nil, false
        local value = ARGV[val]
        val = val + 1
        if verb > 10 then
          expiry = ARGV[val]
          val = val + 1
          if verb > 20 then
            verb, over = verb - 10, gone(take('>I5I4', value))
          end
          verb = verb - 10
        end
        if replay == 0 or verb ~= 5 or (stored[k] or 0) <= version then
          if final[k] == nil then touched[#touched + 1] = k end
          final[k], remove[k], live[k] = stamp .. value, expiry, over and 0 or version
          if replay > 0 then stored[k] = version end
          if verb ~= 2 then list[k] = true end
        end
      end
    end
  end
end
local flags = table.concat(answers)
if not base then return {0, real, 0, flags} end

local places = numbers(ARGV[13])
local drops, sets, adds, rems = {}, {}, {}, {}
for i = 1, #touched do
  local k = touched[i]
  local key, index, value = KEYS[k], places[k - 4], final[k]
  if not value then
    drops[#drops + 1] = key
    local to = rems[index]
    if not to then to = {} rems[index] = to end
    to[#to + 1] = sub(key, places[index - 4])
  else
    if remove[k] then
      call('SET', key, value, 'PXAT', remove[k])
    else
      sets[#sets + 1] = key
      sets[#sets + 1] = value
    end
    if list[k] then
      local to = adds[index]
      if not to then to = {} adds[index] = to end
      to[#to + 1] = '0'
      to[#to + 1] = sub(key, places[index - 4])
    end
  end
end
for i = 1, #sets, 1000 do call('MSET', unpack(sets, i, math.min(i + 999, #sets))) end
for i = 1, #drops, 1000 do call('DEL', unpack(drops, i, math.min(i + 999, #drops))) end
for index, to in pairs(rems) do
  for i = 1, #to, 1000 do call('ZREM', KEYS[index], unpack(to, i, math.min(i + 999, #to))) end
end
for index, to in pairs(adds) do
  for i = 1, #to, 1000 do call('ZADD', KEYS[index], unpack(to, i, math.min(i + 999, #to))) end
end
call('SET', KEYS[3], pack('>I7I7', number, base) .. flags, 'PX', ARGV[7])
return {0, real, base, flags}
`

// beginScript makes a partition of a new store, where there is none.
//
//	KEYS  meta, version, log    ARGV  id of the store
const beginScript = `#!lua
local found = redis.call('GET', KEYS[1])
if found then return found end
local clock = redis.call('TIME')
local epoch = string.format('%.0f', math.floor((clock[1] * 1000000 + clock[2]) / 1000))
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local meta = epoch .. ' ' .. history .. ' ' .. ARGV[1]
redis.call('SET', KEYS[2], 1)
redis.call('XADD', KEYS[3], 'MAXLEN', '=', 0, epoch .. '-0', 'v', '')
redis.call('SET', KEYS[1], meta)
return meta
`

// advanceScript begins another epoch where the history is not the one that the
// epoch was begun for. Versions jump far beyond any that may have been lost.
//
//	KEYS  meta, version, log    ARGV  meta as it was seen, the jump
const advanceScript = `#!lua
local found = redis.call('GET', KEYS[1])
if not found then return '' end
local old, was, id = string.match(found, '^(%d+) (%w+) (%w+)$')
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if found ~= ARGV[1] or was == history then return found end
if redis.call('EXISTS', KEYS[2], KEYS[3]) < 2 then return '' end
local clock = redis.call('TIME')
local epoch = math.max(old + 1, math.floor((clock[1] * 1000000 + clock[2]) / 1000))
epoch = string.format('%.0f', epoch)
local meta = epoch .. ' ' .. history .. ' ' .. id
redis.call('INCRBY', KEYS[2], ARGV[2])
redis.call('XADD', KEYS[3], epoch .. '-0', 'v', '')
redis.call('XDEL', KEYS[3], epoch .. '-0')
redis.call('SET', KEYS[1], meta)
return meta
`

// scanScript reads records in the order of their ids, as of one moment.
//
//	KEYS  meta, index
//	ARGV  least id, greatest id, limit, skew (µs), beginning of the record keys
//
// It answers meta, the server's time, where to go on (or nothing), ids and
// records in turn, and the ids whose record has been removed by Redis.
const scanScript = `#!lua flags=no-writes
local meta = redis.call('GET', KEYS[1])
local clock = redis.call('TIME')
local real = clock[1] * 1000000 + clock[2]
local micros = real + ARGV[4]
local second = math.floor(micros / 1000000)
local nano = (micros - second * 1000000) * 1000
local limit, from = tonumber(ARGV[3]), ARGV[1]
local found, stale, seen, bytes, more = {}, {}, 0, 0, true
while more and #found < 2 * limit and seen < 1000 and bytes < 1000000 do
  local step = math.min(limit - #found / 2, 100)
  local ids = redis.call('ZRANGE', KEYS[2], from, ARGV[2], 'BYLEX', 'LIMIT', 0, step)
  more = #ids == step
  if #ids > 0 then
    local keys = {}
    for i, id in ipairs(ids) do keys[i] = ARGV[5] .. id end
    local values = redis.call('MGET', unpack(keys))
    for i, id in ipairs(ids) do
      local value = values[i]
      if not value then
        stale[#stale + 1] = id
      else
        local s, n = struct.unpack('>I5I4', value, 8)
        if not ((s > 0 or n > 0) and (s < second or (s == second and n <= nano))) then
          found[#found + 1] = id
          found[#found + 1] = value
          bytes = bytes + #value
        end
      end
    end
    seen = seen + #ids
    from = '(' .. ids[#ids]
  end
end
return {meta or '', real, more and from or '', found, stale}
`

// pruneScript takes ids from an index whose record is not there.
//
//	KEYS  index, records    ARGV  their ids
const pruneScript = `#!lua flags=allow-oom
local gone = {}
for i, id in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then gone[#gone + 1] = id end
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return #gone
`

// walkScript is prune for the next ids of an index, whichever they are.
//
//	KEYS  index    ARGV  least id, how many, beginning of the record keys
//
// It answers where to go on (or nothing), how many ids it saw and took away.
const walkScript = `#!lua flags=allow-oom
local step = tonumber(ARGV[2])
local ids = redis.call('ZRANGE', KEYS[1], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, step)
if #ids == 0 then return {'', 0, 0} end
local keys, gone = {}, {}
for i, id in ipairs(ids) do keys[i] = ARGV[3] .. id end
if redis.call('EXISTS', unpack(keys)) < #ids then
  for i, id in ipairs(ids) do
    if redis.call('EXISTS', keys[i]) == 0 then gone[#gone + 1] = id end
  end
  redis.call('ZREM', KEYS[1], unpack(gone))
end
return {#ids == step and '(' .. ids[#ids] or '', #ids, #gone}
`

// trimScript remembers how far a log is trimmed, before anything is removed.
//
//	KEYS  meta, log, trimmed    ARGV  position
//
// It answers meta and the first id to keep, or nothing where there is nothing
// to remove.
const trimScript = `#!lua flags=allow-oom
local meta = redis.call('GET', KEYS[1])
local last = redis.call('XREVRANGE', KEYS[2], ARGV[1], '-', 'COUNT', 1)[1]
if not meta or not last then return {meta or '', ''} end
local epoch, seq = string.match(last[1], '^(%d+)-(%d+)$')
local mark = redis.call('GET', KEYS[3])
if mark then
  local e, s = string.match(mark, '^(%d+)-(%d+)$')
  e, s = tonumber(e) - epoch, tonumber(s) - seq
  if e < 0 or (e == 0 and s < 0) then mark = false end
end
if not mark then redis.call('SET', KEYS[3], last[1]) end
return {meta, epoch .. '-' .. string.format('%.0f', seq + 1)}
`
