"""The plans of the lake's jobs, as the settings name them."""

import pytest

from service.processes.plans import compaction_plan
from service.settings import Settings


@pytest.mark.parametrize(
    ("lake_url", "grace_s", "kept_s"),
    [("", 0.0, 0.0), ("s3://b/lake", 0.0, 150.0), ("s3://b/lake", 900.0, 900.0)],
)
def test_segments_outlive_the_queries_of_other_warehouses(lake_url, grace_s, kept_s):
    """Which pin a version of the lake, and then read the segments that it lacks."""
    settings = Settings(lake_url=lake_url, segment_grace_s=grace_s, report_timeout_s=30.0)
    assert compaction_plan(settings).segment_grace_s == kept_s
