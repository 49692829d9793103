"""The JSON Schema files of the public contract, by version, as package data."""
