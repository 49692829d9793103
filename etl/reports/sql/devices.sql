-- devices: visitors, visits, events and transactions per kind of device: phone, tablet or desktop.
-- NULL holds the events without a known device.
-- parameters: tenant, from, to, bots, filters
SELECT key AS device, visitors, visits, events, transactions
FROM visitors_by(device, {filters}, $tenant, $from, $to, $bots)
ORDER BY visitors DESC, events DESC, device
