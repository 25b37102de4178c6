"""Fixtures that several test files share; those of one file stay in that file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from restoring import random_model
from seaweed import Seaweed

from audiodiff.engines.bridge import BridgeEngine
from audiodiff.storage import Store, open_store


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A running S3 server that the environment points at; `s3.bucket()` makes a fresh bucket."""
    server = Seaweed(tmp_path_factory.mktemp("seaweed")).start()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        for name, value in server.env().items():
            patch.setenv(name, value)
        yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_bucket(s3: Seaweed) -> str:
    """One bucket for all tests that need only a fresh prefix: a bucket costs a fifth of a second."""
    return s3.bucket()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/{secrets.token_hex(6)}")


# Fixtures of other parts go below, one block per part.


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a Prefect server with an empty database, which flows of this process use; it starts once."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    from prefect.settings import get_current_settings  # noqa: PLC0415  a second that most tests need not pay
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415

    with prefect_test_harness(server_startup_timeout=90):
        yield str(get_current_settings().api.url)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> BridgeEngine:
    """A network of random weights that audibly changes what it is given."""
    return random_model(tmp_path_factory.mktemp("model"))
