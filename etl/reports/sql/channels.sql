-- channels: visitors, visits, events and transactions per channel through which visitors came. NULL
-- holds the events without a context: those of old trackers and of servers. A visit counts for each
-- channel that one of its events has.
-- parameters: tenant, from, to, bots, filters
SELECT key AS channel, visitors, visits, events, transactions
FROM visitors_by(channel, {filters}, $tenant, $from, $to, $bots)
ORDER BY visitors DESC, events DESC, channel
