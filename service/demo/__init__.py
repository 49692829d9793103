"""A shop street in a minute: a demo directory, realistic shoppers, and a run over HTTP."""
