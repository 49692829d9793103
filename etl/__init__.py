"""Everything at rest: the log, the lake, reports and upkeep. Needs no running service.

from etl import lake, reports
con = lake.connect("data")
"""

__version__ = "0.1.0"
