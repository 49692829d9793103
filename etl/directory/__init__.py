"""The directory: which tenants and products exist, in a SQL database.

It offers `database`, `csv_import`, `entries` (tenants and products as values, and
DirectoryUnavailable) and `tenant_reference` (the tenant that a payload refers to). `entries` and
`tenant_reference` import no database library.
"""
