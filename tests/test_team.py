"""Training by several processes, as `torchrun` starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audiodiff.encode import write_audio
from audiodiff.nets.unet import UNetConfig
from audiodiff.training.curves import read_curves
from audiodiff.training.packing import Source, write_pack
from audiodiff.training.recipes import RECIPES, recipe_named
from audiodiff.training.run import TrainingOrder, run_training
from audiodiff.training.state import STATE
from audiodiff.training.team import ALONE, assembled
from audiodiff.waveform import Waveform

ROOT = Path(__file__).parent.parent

TINY = {
    "steps": 4, "batch": 4, "excerpt_s": 0.25, "warmup": 2, "validate_every": 4, "cases": {"recorded noise": 1.0},
    "net": UNetConfig(widths=(4, 6, 8), blocks=1, middle=1),
}  # fmt: skip
SCRIPT = f"""
import sys
from dataclasses import replace
from pathlib import Path
from safetensors.torch import save_file
from audiodiff.nets.unet import UNetConfig
from audiodiff.training.loop import print_step
from audiodiff.training.pack import Pack
from audiodiff.training.recipes import RECIPES, recipe_named
from audiodiff.training.run import TrainingOrder, run_training, trained_state
from audiodiff.training.team import assembled

RECIPES["tiny"] = replace(recipe_named("speech-16k"), **{TINY})
order = TrainingOrder(Path(sys.argv[1]), Path(sys.argv[2]), "tiny")
with assembled("cpu") as team:
    stopped = run_training(replace(order, stop_after_s=0.0))
    assert stopped.step == 1 and "unfinished" in stopped.card.read_text()
    state = trained_state(order, recipe_named("tiny"), Pack(order.pack), team, print_step)
    save_file(state.net.state_dict(), order.folder / f"rank-{{team.rank}}.safetensors")
"""
"""What each process runs: it stops after a step, goes on from what was saved, and shows its own weights."""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in pulses as speech, and steady as noise."""
    folder = tmp_path_factory.mktemp("pack")
    noise = 0.1 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    sounds = {"speech": noise * (np.sin(np.arange(48_000) / 2_000) > 0), "noise": noise[::-1]}
    sources = []
    for kind, sound in sounds.items():
        write_audio(folder / f"{kind}.wav", Waveform(sound[None], 48_000), "wav-16")
        sources += [
            Source(folder / f"{kind}.wav", f"{kind} {split}", kind, split, "CC0-1.0", "generated")
            for split in ("train", "test")
        ]
    write_pack(sources, folder)
    return folder


def test_two_processes_come_to_the_weights_of_one(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that make two excerpts of each batch, and are stopped between; one that makes all four."""
    pair, alone = tmp_path / "pair", tmp_path / "alone"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*launch, str(script), str(pack), str(pair)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 4: loss") == 1  # the leader alone tells
    first, second = (load_file(pair / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)

    monkeypatch.setitem(RECIPES, "tiny", replace(recipe_named("speech-16k"), **TINY))
    run_training(TrainingOrder(pack, alone, "tiny"), lambda step, text: None)
    ours, theirs = load_file(pair / STATE), load_file(alone / STATE)
    assert ours.keys() == theirs.keys()
    for name in (name for name in ours if name.startswith(("net.", "average."))):
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-5, rtol=1e-4)
    assert read_curves(pair).step.tolist() == read_curves(alone).step.tolist()


def test_a_process_without_others_is_alone() -> None:
    with assembled("cpu") as team:
        assert team is ALONE
        assert team.leads
        assert list(team.places(3)) == [0, 1, 2]
        assert team.told(decision=True)
        assert not team.told(decision=False)
        assert team.mean(torch.tensor(2.5)) == 2.5
        team.wait()
