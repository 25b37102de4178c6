"""`train_model` as Prefect runs it, on a dataset of a few seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiodiff.encode import write_audio
from audiodiff.engines.checkpoint import load_restorer
from audiodiff.errors import ConfigError
from audiodiff.nets.bandsplit import BandSplitConfig
from audiodiff.training.recipes import RECIPES, Recipe
from audiodiff.waveform import Waveform
from flows.train_model import TrainConfig, train_model


def test_training_flow_packs_trains_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = BandSplitConfig(width=8, hidden=8, dilations=(1, 2))
    small = Recipe(steps=2, batch=1, excerpt_s=0.25, precision="float32", validate_every=2, net=net)
    monkeypatch.setitem(RECIPES, "restore-48k", small)
    rng, rows = np.random.default_rng(0), ["path,kind,source,original_file,speaker,licence,attribution"]
    for name, kind, speaker in (
        ("a", "speech", "x"),
        ("b", "noise", ""),
        ("c", "speech", "Maxim Topal"),
        ("storm", "noise", ""),
    ):
        pulses = rng.standard_normal((1, 48_000)) * (np.sin(np.arange(48_000) / 2_000) > 0)
        write_audio(tmp_path / f"{name}.wav", Waveform((0.1 * pulses).astype(np.float32), 48_000), "wav-16")
        rows.append(f"{name}.wav,{kind},test,{name},{speaker},CC0-1.0,generated")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    config = TrainConfig(dataset=str(tmp_path), destination=str(tmp_path / "run"), workers=0)
    first = train_model(config.model_copy(update={"minutes": 1e-6}))
    assert (first.step, first.steps) == (1, 2)
    last = train_model(config)
    assert (last.step, last.steps) == (2, 2)
    assert load_restorer(Path(last.checkpoint)).net.config == net
    assert "speech" in last.gains_db
    assert "| speech | test | CC0-1.0 | 1 |" in Path(last.card).read_text()
    (tmp_path / "manifest.csv").write_text("\n".join([rows[0], rows[2]]) + "\n")
    with pytest.raises(ConfigError, match="neither speech nor music"):
        train_model(config.model_copy(update={"destination": str(tmp_path / "other")}))
    with pytest.raises(ConfigError, match="local folders"):
        train_model(config.model_copy(update={"dataset": "s3://bucket/kit"}))
    with pytest.raises(ConfigError, match=r"neither a curated dataset \(library/\) nor a manifest\.csv"):
        train_model(config.model_copy(update={"dataset": str(tmp_path / "run")}))
