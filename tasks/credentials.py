"""Storage credentials from a Prefect block, so that no key ever stands in a parameter."""

from __future__ import annotations

import os
from typing import Any

from prefect.blocks.core import Block

from audiodiff.errors import ConfigError
from audiodiff.storage import S3Credentials, Store, open_store

BLOCK_VARIABLE = "AUDIODIFF_CREDENTIALS_BLOCK"


def open_with_credentials(uri: str) -> Store:
    """Open a store; keys come from the block named in the environment, else from the environment itself."""
    name = os.environ.get(BLOCK_VARIABLE)
    return open_store(uri, _from_block(name) if name and uri.startswith("s3://") else None)


def _from_block(name: str) -> S3Credentials:
    """`secret/NAME` (JSON with the fields of `S3Credentials`) or `aws-credentials/NAME` of prefect-aws."""
    if not name.startswith(("secret/", "aws-credentials/")):
        raise ConfigError(f"{BLOCK_VARIABLE}={name!r}: give secret/NAME or aws-credentials/NAME")
    try:
        block: Any = Block.load(name)
    except ValueError as error:
        raise ConfigError(f"{BLOCK_VARIABLE}={name!r}: {error}") from error
    if name.startswith("secret/"):
        fields = block.get()
        if not isinstance(fields, dict):
            raise ConfigError(f"block {name} must hold a JSON object with the fields of S3Credentials")
        try:
            return S3Credentials(**fields)
        except TypeError as error:  # its text names the field, never a value
            raise ConfigError(f"block {name}: {error}") from error
    secret = block.aws_secret_access_key
    return S3Credentials(
        access_key_id=block.aws_access_key_id or "",
        secret_access_key=secret.get_secret_value() if secret else "",
        session_token=block.aws_session_token or "",
        endpoint_url=block.aws_client_parameters.endpoint_url or "",
        region=block.region_name or "",
    )
