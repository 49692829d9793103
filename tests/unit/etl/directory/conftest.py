"""An empty directory at rest."""

import pytest

from etl.directory.database import DirectoryDatabase


@pytest.fixture
def database(tmp_path):
    database = DirectoryDatabase(f"sqlite:///{tmp_path}/folder/directory.db")
    database.create_tables()
    return database
