-- Take tokens from the buckets of some keys. See decisions.py for the request and the reply.
--
-- A key holds the moments at which its three buckets are full again, in seconds since EPOCH_S,
-- which leaves a double enough digits for nanoseconds.

local EPOCH_S, TOLERANCE_S, BUCKETS = 1760000000, 1e-6, 3
local RATE, ASK, STORED, ANSWER = '>dd', '>BHi8i8i8', '>ddd', '>HBd'

-- Locals are faster than globals and their fields.
local call, pack, unpack = redis.call, struct.pack, struct.unpack
local ceil, floor, max, min = math.ceil, math.floor, math.max, math.min

local time = call('TIME')
local now = time[1] - EPOCH_S + time[2] / 1e6
local reply = {pack('>d', now)}

local deadline, position = unpack('>d', ARGV[1])
if now > deadline then return reply[1] end

local rates = {}
while position <= #ARGV[1] do
  local rate = {}
  rate.per_s, rate.burst, position = unpack(RATE, ARGV[1], position)
  rate.refill_s = rate.burst / rate.per_s
  rates[#rates + 1] = rate
end

-- One question at a time: the costs in the key's buckets, and the moments at which they are full.
local costs, full = {}, {}

local function tokens(full_at, rate)
  local held = floor((rate.refill_s + TOLERANCE_S - (full_at - now)) * rate.per_s)
  return min(held, rate.burst)
end

local function load(key)
  local stored = call('GET', key)
  if stored then
    full[1], full[2], full[3] = unpack(STORED, stored)
  else
    full[1], full[2], full[3] = 0, 0, 0
  end
end

local function store(key)
  local left_ms = ceil((max(full[1], full[2], full[3]) - now) * 1000)
  if left_ms > 0 then
    call('SET', key, pack(STORED, full[1], full[2], full[3]), 'PX', left_ms)
  else
    call('DEL', key)
  end
end

-- Take the costs up to `times` times. Return how often they were taken, the bucket that prevents
-- more (0 for none), and the seconds after which that bucket, or the first with a cost, is full.
local function take(key, first, times)
  local taken, over, shown = times, 0, 0
  load(key)
  for bucket = 1, BUCKETS do
    local cost = costs[bucket]
    if cost ~= 0 then
      local rate = rates[first + bucket]
      -- A bucket that is fuller than full is full. One that is emptier than empty was stored before
      -- the clock was set back, or by a larger rate: it is empty.
      full[bucket] = min(max(full[bucket], now), now + rate.refill_s)
      if shown == 0 then shown = bucket end
      if cost > 0 then
        local held = tokens(full[bucket], rate)
        if held < cost * taken then taken, over = max(floor(held / cost), 0), bucket end
      end
    end
  end
  if taken > 0 then
    for bucket = 1, BUCKETS do
      local cost = costs[bucket]
      if cost ~= 0 then
        full[bucket] = full[bucket] + taken * cost / rates[first + bucket].per_s
      end
    end
    store(key)
  end
  return taken, over, full[over > 0 and over or shown] - now
end

position = 1
for number, key in ipairs(KEYS) do
  local first, times
  first, times, costs[1], costs[2], costs[3], position = unpack(ASK, ARGV[2], position)
  reply[number + 1] = pack(ANSWER, take(key, first, times))
end
return table.concat(reply)
