"""Administrators' queries, each in a process that locks itself in before it runs the query.

It offers `runner` (starts the processes), `queries` (one SELECT as JSON), `only_select` (what a
query may be) and `confine`.
"""
