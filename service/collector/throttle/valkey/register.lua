-- Register a machine (ARGV[1]) for ARGV[2] seconds; return the time and the number of machines.
-- It writes, as every decision does: a server that takes this takes decisions.

local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] - ARGV[2])
redis.call('ZADD', KEYS[1], time[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {time[1], time[2], redis.call('ZCARD', KEYS[1])}
