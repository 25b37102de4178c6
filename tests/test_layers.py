"""The arrow of the layers: flows -> tasks -> audiodiff."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"audiodiff": {"prefect", "ray", "flows", "tasks"}, "tasks": {"flows"}}
MODULES = [path for layer in FORBIDDEN for path in sorted((ROOT / layer).rglob("*.py"))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_runs_upwards(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    assert not imported & FORBIDDEN[layer]


def test_the_library_runs_without_prefect() -> None:
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in MODULES]
    library = [name.removesuffix(".__init__") for name in names if name.startswith("audiodiff")]
    code = (
        "import sys, importlib\nsys.modules['prefect'] = None\nfor name in sys.argv[1:]: importlib.import_module(name)"
    )
    command = [sys.executable, "-c", code, *library]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_training_needs_no_decoders() -> None:
    """A bare GPU machine has torch, torchaudio, numpy, scipy, pandas, pyarrow and safetensors."""
    absent = (
        "av",
        "soundfile",
        "soxr",
        "s3fs",
        "onnxruntime",
        "speechmos",
        "jinja2",
        "PIL",
        "pyroomacoustics",
        "prefect",
    )
    code = f"import sys\nfor name in {absent}: sys.modules[name] = None\nimport audiodiff.training.run"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
