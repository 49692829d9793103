-- Take tokens from the buckets of some keys. See decisions.py for the request and the reply.
--
-- A key holds the moments at which its three buckets are full again, in seconds since EPOCH_S,
-- which leaves a double enough digits for nanoseconds.

local EPOCH_S, TOLERANCE_S, BUCKETS = 1760000000, 1e-6, 3
local RATE, ASK, STORED, ANSWER = '>dd', '>BHi8i8i8', '>ddd', '>HBd'

local time = redis.call('TIME')
local now = time[1] - EPOCH_S + time[2] / 1e6
local reply = {struct.pack('>d', now)}

local deadline, position = struct.unpack('>d', ARGV[1])
if now > deadline then return reply[1] end

local rates = {}
while position <= #ARGV[1] do
  local rate = {}
  rate.per_s, rate.burst, position = struct.unpack(RATE, ARGV[1], position)
  rate.refill_s = rate.burst / rate.per_s
  rates[#rates + 1] = rate
end

-- A bucket that is fuller than full is full. One that is emptier than empty was stored before the
-- clock was set back: it is empty.
local function within(full_at, rate)
  return math.min(math.max(full_at, now), now + rate.refill_s)
end

local function tokens(full_at, rate)
  local held = math.floor((rate.refill_s + TOLERANCE_S - (full_at - now)) * rate.per_s)
  return math.min(held, rate.burst)
end

local function store(key, full)
  local left_ms = math.ceil((math.max(full[1], full[2], full[3]) - now) * 1000)
  if left_ms > 0 then
    redis.call('SET', key, struct.pack(STORED, full[1], full[2], full[3]), 'PX', left_ms)
  else
    redis.call('DEL', key)
  end
end

-- Take the costs up to `times` times. Return how often they were taken, the bucket that prevents
-- more (0 for none), and the seconds after which that bucket, or the first with a cost, is full.
local function take(key, first, times, costs)
  local full, taken, over, shown = {0, 0, 0}, times, 0, 0
  local stored = redis.call('GET', key)
  if stored then full[1], full[2], full[3] = struct.unpack(STORED, stored) end
  for bucket = 1, BUCKETS do
    local cost, rate = costs[bucket], rates[first + bucket]
    if cost ~= 0 then
      full[bucket] = within(full[bucket], rate)
      if shown == 0 then shown = bucket end
      local held = tokens(full[bucket], rate)
      if cost > 0 and held < cost * taken then
        taken, over = math.max(math.floor(held / cost), 0), bucket
      end
    end
  end
  if taken > 0 then
    for bucket = 1, BUCKETS do
      if costs[bucket] ~= 0 then
        full[bucket] = full[bucket] + taken * costs[bucket] / rates[first + bucket].per_s
      end
    end
    store(key, full)
  end
  return taken, over, full[over > 0 and over or shown] - now
end

position = 1
for _, key in ipairs(KEYS) do
  local first, times, costs = 0, 0, {}
  first, times, costs[1], costs[2], costs[3], position = struct.unpack(ASK, ARGV[2], position)
  reply[#reply + 1] = struct.pack(ANSWER, take(key, first, times, costs))
end
return table.concat(reply)
