"""HTTP: translate requests and responses; the collector and etl decide. Tornado is used here."""
