"""The error tree: every error a user can cause or meet is an `AudiodiffError` with a plain sentence."""

from __future__ import annotations


class AudiodiffError(Exception):
    """Base of all errors raised on purpose by audiodiff."""


class ConfigError(AudiodiffError, ValueError):
    """A parameter is wrong: the message names it, the value and what is allowed."""


class MediaError(AudiodiffError):
    """A recording cannot be used: the item is recorded as failed, its shard goes on.

    `reason` is a short stable code for the ledger (`undecodable`, `empty`, ...); the message names
    the file and the cause.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StorageError(AudiodiffError):
    """Storage did not do what was asked; worth a retry, so it fails the shard and not the item."""


class ObjectMissing(StorageError):
    """The named object does not exist."""


class CommitError(AudiodiffError):
    """A run does not reconcile: plan, ledger, metadata and stored files disagree."""


class EngineError(AudiodiffError):
    """An engine or checkpoint cannot be loaded or does not fit the request."""
