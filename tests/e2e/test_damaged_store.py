"""A damaged store and who trains on it: programs as a user starts them, alone and on workers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.faults

SECTIONS = {
    "prepare": {
        "format": "synthetic",
        "split": "random",
        "options": {"num_users": 3000, "num_items": 40_000, "num_interactions": 60_000, "visual_dimension": 512},
    },
    "model": {"name": "dualgnn", "width": 8},
    "sampler": {"batch_size": 512, "fanouts": [5, 3], "co_users": 2},
    "train": {"epochs": 200, "eval_every": 200, "patience": None},
}
LARGE = "features/visual-00000.arrow"  # 82 MB: read beside the training


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    (folder / "config.yaml").write_text(yaml.safe_dump({"prepare": SECTIONS["prepare"]}))
    done = program(folder, "prepare", "--config", "config.yaml", "--output", "store")
    assert done.returncode == 0, done.stderr
    assert (folder / "store" / LARGE).stat().st_size > 64 << 20
    return folder / "store"


def program(folder: Path, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"dualgnn_dist.{verb}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_damaged_vectors_end_a_run_with_their_name(
    num_workers: int, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    shutil.copytree(store, tmp_path / "store")
    file = tmp_path / "store" / LARGE
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        byte = opened.read(1)[0]
        opened.seek(-1, 1)
        opened.write(bytes([byte ^ 1]))
    sections = {
        **{name: section for name, section in SECTIONS.items() if name != "prepare"},
        "data": {"store": str(tmp_path / "store")},
        "resources": {"num_workers": num_workers},
        "run": {"name": "one", "output": str(tmp_path / "runs")},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(sections))
    done = program(tmp_path, "train", "--config", "config.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{LARGE} is damaged (its checksum differs from the manifest's)" in done.stderr
    assert not list((tmp_path / "runs").rglob("metrics.json"))
    seen = program(tmp_path, "prepare", "--verify", str(tmp_path / "store"))
    assert seen.returncode == 2 and "1 of the" in seen.stderr


@pytest.mark.parametrize("number", [1, 5, 2**40])
def test_rows_per_shard_is_no_segmentation_fault(number: int, store: Path, tmp_path: Path) -> None:
    """In a manifest of an older program, read by a program of its own. A number above all rows changes nothing."""
    shutil.copytree(store, tmp_path / "store")
    manifest = tmp_path / "store/manifest.json"
    values = json.loads(manifest.read_text())
    del values["settings"]["manifest_checksum"]
    manifest.write_text(json.dumps({**values, "rows_per_shard": number}))
    read = (
        "import sys, numpy as np\n"
        "from dualgnn_dist.base.command_line import run_program\n"
        "from dualgnn_dist.data.store.reader import Store\n"
        "run_program(lambda: Store.open(sys.argv[1]).user_item.gather(np.arange(3000, dtype=np.int32)))\n"
    )
    done = subprocess.run([sys.executable, "-c", read, str(tmp_path / "store")], capture_output=True, text=True)
    assert done.returncode == (0 if number > 3000 else 2), done
    assert "Traceback" not in done.stderr and ("is damaged" in done.stderr) == (number < 3000)
