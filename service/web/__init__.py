"""The only place that knows Tornado: requests are translated here, decided elsewhere."""
