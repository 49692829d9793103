"""The directory: which tenants and products there are, in a SQL database.

It offers `database`, `csv_import` and `tenant_reference` (which tenant a payload refers to).
"""
