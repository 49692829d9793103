"""Verification of a data folder: the log, the lake, and that they agree.

    findings = check.run(Path("data"))

It offers the names below.
"""

from etl.upkeep.check.findings import Findings, Problem, TableFacts, describe
from etl.upkeep.check.job import run

__all__ = ["Findings", "Problem", "TableFacts", "describe", "run"]
