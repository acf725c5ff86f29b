"""Damaged inputs of every reader: a refusal, or something that is whole. `benchmarks/fuzz.py` does it for hours."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from tests.fuzz_targets import TARGETS, damage

READERS = [
    (target, name) for target, readers in TARGETS.items() for name, reader in readers.items() if not reader.is_slow
]
EXAMPLES = {"formats": 30, "shapes": 8, "config": 150, "manifest": 30}
SEEDS = st.integers(0, 1 << 32)


@pytest.mark.parametrize(("target", "name"), READERS)
def test_damage_is_refused_or_does_no_harm(target: str, name: str, tmp_path: Path) -> None:
    folder, valid, reader = tmp_path / "case", tmp_path / "valid", TARGETS[target][name]
    folder.mkdir()
    told = reader.write(folder)
    shutil.copytree(folder, valid)
    reader.read(folder, told)

    @settings(max_examples=EXAMPLES[target], deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=SEEDS)
    def broken(seed: int) -> None:
        shutil.rmtree(folder)
        shutil.copytree(valid, folder)
        damage(folder, random.Random(seed), reader.breaks)
        try:
            reader.read(folder, told)
        except UserError as error:
            assert "more memory than there is" not in str(error)

    broken()
