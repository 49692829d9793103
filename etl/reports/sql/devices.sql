-- devices: phones, tablets and desktops: visitors, visits, events and transactions per kind of device.
-- NULL holds the events without a known device.
-- parameters: tenant, from, to, bots, filters
SELECT key AS device, visitors, visits, events, transactions
FROM visitors_by(device, {filters}, $tenant, $from, $to, $bots)
ORDER BY visitors DESC, events DESC, device
