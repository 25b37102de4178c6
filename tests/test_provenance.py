"""Where a take comes from, in JSON and in a signed manifest that the C2PA's own library reads back."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import c2pa
import numpy as np
import pytest
import soundfile
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audiodiff import __version__
from audiodiff.encode import Encoding, write_audio
from audiodiff.errors import ConfigError
from audiodiff.generate.broadcast import SOURCE_TYPE, Description, add_chunks, read_chunks
from audiodiff.generate.provenance import CERTIFICATE, KEY, c2pa_identity, c2pa_wanted, provenance, sign_c2pa
from audiodiff.generate.records import Prompt, Take
from audiodiff.media import read_audio
from audiodiff.records import Lane
from audiodiff.waveform import Waveform

DESCRIPTION = Description(
    "Dog", "a dog", category_id="ANMLDog", provenance='{"seed": 7}', lufs=-19.0, true_peak_db=-1.5, momentary_lufs=-15.0
)


def write(path: Path, encoding: Encoding = "wav-24") -> Path:
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 4_801)).astype(np.float32)
    write_audio(path, Waveform(samples, 48_000), encoding)
    return path


def test_provenance_has_all_that_a_take_is_made_of():
    take = Take(
        take_id="3fa29c0d11b2c3d4", item_id="0123456789abcdef", source_uri="prompts.csv", source_fingerprint="",
        source_sha256="", lane=Lane.ACCEPTED, reasons=(), messages=(), engine="audiodiff", engine_sha256="ab" * 32,
        recipe="sfx-1", seed=2**62, params="{}", run_id="r", created_at="2026-11-24T18:05:09+00:00",
        shard="shard-00000", row=1, take=0, prompt=Prompt("a dög", negative="hum"), steps=16, guidance=2.5,
    )  # fmt: skip
    record = json.loads(provenance(take))
    assert (record["engine"], record["engine_sha256"], record["seed"]) == ("audiodiff", "ab" * 32, 2**62)
    assert (record["steps"], record["guidance"]) == (16, 2.5)
    assert Prompt(**record["prompt"]) == take.prompt
    assert record["versions"]["audiodiff"] == __version__
    assert record["digital_source_type"] == SOURCE_TYPE
    assert provenance(take) == provenance(replace(take, created_at="later", run_id="other"))
    assert json.loads(provenance(take, take.created_at))["created"] == take.created_at
    assert "guidance" not in json.loads(provenance(replace(take, guidance=math.nan)))


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for testing, signed by a root that nobody trusts, and its key."""
    folder = tmp_path_factory.mktemp("identity")
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = [certificate("leaf", leaf.public_key(), root), certificate("root", root.public_key(), root)]
    pem = serialization.Encoding.PEM
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(pem) for one in chain))
    secret = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    return folder / "chain.pem", folder / "key.pem"


def certificate(name: str, public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    names = [x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, one)]) for one in (name, "root")]
    now, ca = dt.datetime.now(dt.UTC), name == "root"
    use = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
    built = (
        x509.CertificateBuilder(
            *names, public, x509.random_serial_number(), now - dt.timedelta(1), now + dt.timedelta(9)
        )
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(use, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        built = built.add_extension(purpose, critical=False)
    return built.sign(signer, hashes.SHA256())


def manifest(path: Path) -> dict:
    kind = "audio/wav" if path.suffix == ".wav" else "audio/flac"
    with path.open("rb") as file, c2pa.Reader(kind, file) as reader:
        return json.loads(reader.json())


@pytest.mark.parametrize("encoding", ["wav-24", "flac-24"])
def test_a_signed_file_says_that_it_was_generated(tmp_path, identity, encoding):
    path = write(tmp_path / f"a.{encoding[:-3]}", encoding)
    add_chunks(path, DESCRIPTION)
    before = read_audio(path).samples
    sign_c2pa(path, DESCRIPTION.provenance, *identity)
    found = manifest(path)
    assert found["validation_state"] == "Valid"
    assert [one["code"] for one in found["validation_status"]] == ["signingCredential.untrusted"]  # our own root
    active = found["manifests"][found["active_manifest"]]
    assertions = {one["label"]: one["data"] for one in active["assertions"]}
    assert assertions["c2pa.actions.v2"]["actions"] == [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}]
    assert assertions["audiodiff.provenance"] == json.loads(DESCRIPTION.provenance)
    np.testing.assert_array_equal(read_audio(path).samples, before)
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0], before[0])
    assert read_chunks(path) == DESCRIPTION
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    data = bytearray(path.read_bytes())
    data[data.rindex(b"ANMLDog")] ^= 1
    path.write_bytes(data)
    assert manifest(path)["validation_state"] == "Invalid"


def test_what_cannot_be_signed_with_is_an_error_and_the_file_stays(tmp_path, identity, monkeypatch):
    path, (chain, key) = write(tmp_path / "a.wav"), identity
    before = path.read_bytes()
    for wrong in ((key, key), (chain, chain), (chain, tmp_path / "absent.pem")):
        with pytest.raises(ConfigError, match="cannot be signed"):
            sign_c2pa(path, "{}", *wrong)
    monkeypatch.setitem(sys.modules, "c2pa", None)  # as where the extra is not installed
    with pytest.raises(ConfigError, match=r"extra c2pa: pip install audiodiff\[c2pa\]"):
        sign_c2pa(path, "{}", chain, key)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.wav"]


def test_the_identity_comes_from_the_environment(identity, monkeypatch):
    for name in (CERTIFICATE, KEY):
        monkeypatch.delenv(name, raising=False)
    assert not c2pa_wanted()
    monkeypatch.setenv(CERTIFICATE, str(identity[0]))
    assert c2pa_wanted()
    with pytest.raises(ConfigError, match=KEY):
        c2pa_identity()
    monkeypatch.setenv(KEY, str(identity[1]))
    assert c2pa_identity() == identity
