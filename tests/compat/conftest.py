from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_server import RunningServer, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all vendor clients of a test run."""
    with running_server(tmp_path_factory.mktemp("compat")) as started:
        yield started
