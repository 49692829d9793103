"""HTTP: the only package that uses Tornado. It translates requests; others decide."""
