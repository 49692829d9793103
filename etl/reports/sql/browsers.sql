-- browsers: visitors, visits, events and transactions per browser. NULL holds the events without a
-- known browser.
-- parameters: tenant, from, to, bots, limit, filters
SELECT key AS browser, visitors, visits, events, transactions
FROM visitors_by(browser, {filters}, $tenant, $from, $to, $bots)
ORDER BY visitors DESC, events DESC, browser
LIMIT $limit
