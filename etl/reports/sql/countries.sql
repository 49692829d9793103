-- countries: visitors, visits, events and transactions per country, as ISO 3166 codes. NULL holds
-- the events without a known country: all events, unless the setting country_database names a
-- database.
-- parameters: tenant, from, to, bots, limit, filters
SELECT key AS country, visitors, visits, events, transactions
FROM visitors_by(country, {filters}, $tenant, $from, $to, $bots)
ORDER BY visitors DESC, events DESC, country
LIMIT $limit
