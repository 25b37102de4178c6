"""Where a take comes from: as JSON for its file, and as a signed C2PA manifest, which players and editors can check."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from audiodiff import __version__
from audiodiff.errors import ConfigError
from audiodiff.generate.broadcast import SOURCE_TYPE
from audiodiff.generate.records import Take

CERTIFICATE, KEY = "AUDIODIFF_C2PA_CERTIFICATE", "AUDIODIFF_C2PA_KEY"
"""Environment variables with the paths of a certificate chain and its private key, both PEM."""

_FIELDS = ("take_id", "item_id", "take", "engine", "engine_sha256", "recipe", "seed", "steps", "guidance", "license")
_TYPES = {".wav": "audio/wav", ".flac": "audio/flac"}


def provenance(take: Take, created: str = "") -> str:
    """All that is needed to make a take again, as JSON: engine and weights, prompt, seed, steps, guidance, versions.

    Empty texts and NaN are left out. The time is only in it where it is given, for with it no two runs write the same
    file; the take's row has it. The take has a prompt.
    """
    assert take.prompt is not None
    known = {name: getattr(take, name) for name in _FIELDS} | {"created": created}
    record = {
        **_told(known),
        "prompt": _told(asdict(take.prompt)),
        "digital_source_type": SOURCE_TYPE,
        "versions": {"audiodiff": __version__, "python": platform.python_version(), "torch": version("torch")},
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def _told(values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value != "" and not _is_nan(value)}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def c2pa_wanted() -> bool:
    """Whether the environment names a certificate or a key."""
    return any(os.environ.get(name) for name in (CERTIFICATE, KEY))


def c2pa_identity() -> tuple[Path, Path]:
    """The certificate chain and key that the environment names; `ConfigError` where it does not, or they are absent."""
    paths = []
    for name in (CERTIFICATE, KEY):
        path = Path(os.environ.get(name, ""))
        if not path.is_file():
            raise ConfigError(f"a C2PA manifest needs {name} in the environment, the path of a PEM file")
        paths.append(path)
    return paths[0], paths[1]


def sign_c2pa(path: Path, claim: str, certificate: Path, key: Path) -> None:
    """Put a signed C2PA manifest into a finished WAV or FLAC file: made by an engine, and how (`provenance`).

    It comes last, for it signs every byte but its own. Two manifests of one file differ, by their ids and times. No
    timestamp authority is asked, so nothing is sent anywhere. `ConfigError` without the extra `c2pa`, and for a
    certificate or key that cannot be read or that C2PA does not accept: it wants a chain that ends in a root, with the
    purpose of e-mail or document signing. Source: C2PA Technical Specification 2.2, actions and digital signatures.
    """
    try:
        c2pa = import_module("c2pa")
    except ImportError as error:
        raise ConfigError("C2PA manifests need the extra c2pa: pip install audiodiff[c2pa]") from error
    signed = path.with_name(f"{path.name}.signed")
    try:
        identity = c2pa.C2paSignerInfo(_algorithm(key), certificate.read_bytes(), key.read_bytes(), None)
        with (
            c2pa.Signer.from_info(identity) as signer,
            c2pa.Builder(_manifest(path, claim)) as builder,
            path.open("rb") as source,
            signed.open("wb+") as target,
        ):
            builder.sign(signer, _TYPES[path.suffix], source, target)
    except (c2pa.C2paError, OSError, TypeError, ValueError) as error:
        signed.unlink(missing_ok=True)
        raise ConfigError(f"{path.name!r} cannot be signed with {certificate.name!r}: {error}") from error
    signed.replace(path)


def _manifest(path: Path, claim: str) -> dict[str, object]:
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
    return {
        "claim_generator_info": [{"name": "audiodiff", "version": __version__}],
        "title": path.name,
        "format": _TYPES[path.suffix],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": "audiodiff.provenance", "data": json.loads(claim)},
        ],
    }


def _algorithm(key: Path) -> str:
    """The name that C2PA has for signatures of this key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - comes with the extra
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    private = load_pem_private_key(key.read_bytes(), password=None)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return {256: "es256", 384: "es384", 521: "es512"}[private.curve.key_size]
    return "ed25519" if isinstance(private, ed25519.Ed25519PrivateKey) else "ps256"
