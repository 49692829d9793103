"""The lake in object storage, for the warehouses of several machines.

It offers `lake` (SharedLake), the other form of the lake store (`etl.lake.store`).
"""
