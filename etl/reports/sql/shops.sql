-- shops: the shops of the directory, with or without events: all, those with some ids, or those
-- whose id equals the text of `find` or whose slug or name contains it, regardless of case and
-- accents. The language, time zone and currency of a shop are those of the directory, if it has them.
-- parameters: tenant, shops, find, limit
SELECT
    id AS tenant_id,
    slug AS tenant,
    name,
    status,
    language,
    timezone,
    currency
FROM tenants
WHERE ($tenant IS NULL OR id = $tenant)
  AND ($shops IS NULL OR id IN (SELECT unnest($shops::BIGINT[])))
  AND ($find IS NULL
       OR id::VARCHAR = $find
       OR contains(lower(strip_accents(slug)), lower(strip_accents($find)))
       OR contains(lower(strip_accents(name)), lower(strip_accents($find))))
ORDER BY slug, id
LIMIT $limit
