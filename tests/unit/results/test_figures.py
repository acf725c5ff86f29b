"""Pictures are PNG files of a sensible size that show what they were given."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.results import figures
from dualgnn_dist.results.figures import Measurements


def draw_comparison(
    path: Path,
    rows: int = 2,
    value: float = 0.3,
    label: str = "dualgnn",
    first: Sequence[float] = (0.29, 0.31),
    text: str = ".3000 ± .0100",
    note: str = "a note " * 30,
) -> np.ndarray:
    labels = [f"{label} {row}" for row in range(rows)]
    seeds, texts = [first, *([value] for _ in range(rows - 1))], [text] * rows
    measured = [Measurements(metric, labels, seeds, texts, 0) for metric in ("recall@20", "ndcg@20")]
    figures.comparison(path, "a title", measured, note)
    return read(path)


def read(path: Path) -> np.ndarray:
    """Grey levels [height, width], after a look at what every PNG begins with."""
    start = path.read_bytes()[:24]
    assert start.startswith(b"\x89PNG\r\n\x1a\n")
    pixels = imread(path)
    assert struct.unpack(">II", start[16:24]) == (pixels.shape[1], pixels.shape[0])
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []
    return pixels[..., :3].mean(2)


def test_a_comparison_is_drawn(tmp_path: Path) -> None:
    pixels = draw_comparison(tmp_path / "a.png")
    assert 300 < pixels.shape[0] < 2000 and 1000 < pixels.shape[1] < 3000
    assert 0.005 < (pixels < 0.5).mean() < 0.2, "ink on paper, and more paper than ink"
    assert pixels[0].min() == pixels[:, 0].min() == pixels[-1].min() == pixels[:, -1].min() == 1, "nothing is cut off"


def test_a_dot_moves_with_its_value(tmp_path: Path) -> None:
    first, same, other = (draw_comparison(tmp_path / "a.png", value=value) for value in (0.3, 0.3, 0.33))
    assert (first == same).all() and first.shape == other.shape and (first != other).any()


def test_seeds_are_dots(tmp_path: Path) -> None:
    even, uneven = np.array([-1, 0, 1]), np.array([-2, 1, 1]) / np.sqrt(3)  # one mean, one standard deviation
    pictures = [draw_comparison(tmp_path / "a.png", first=0.3 + 0.01 * steps) for steps in (even, uneven)]
    assert (pictures[0] != pictures[1]).any()


def test_the_mean_is_written_at_its_bar(tmp_path: Path) -> None:
    first, other = (draw_comparison(tmp_path / "a.png", text=text) for text in (".3000", ".4000"))
    assert first.shape == other.shape and (first != other).any()


@pytest.mark.parametrize(
    "long",
    [{"rows": 9}, {"note": "a note " * 90}, {"label": "dualgnn model.fusion=weighted_sum sampler.fanouts=[10,5]"}],
)
def test_more_rows_and_longer_names_take_more_room(tmp_path: Path, long: dict[str, Any]) -> None:
    short, tall = draw_comparison(tmp_path / "a.png"), draw_comparison(tmp_path / "b.png", **long)
    assert tall.shape[0] > short.shape[0]
    assert tall[0].min() == tall[:, 0].min() == tall[-1].min() == tall[:, -1].min() == 1, "nothing is cut off"


@pytest.mark.parametrize("count", [1, 3, 30])
def test_weights_are_drawn(tmp_path: Path, count: int) -> None:
    generator = np.random.default_rng(1)
    weights = {name: generator.random(400).astype(np.float32) for name in ("visual", "acoustic")}
    communities = np.arange(400) % count
    figures.weights_by_community(tmp_path / "w.png", "weights", weights, communities, "a note")
    pixels = read(tmp_path / "w.png")
    assert 600 < pixels.shape[0] < 2000 and 1000 < pixels.shape[1] < 6000
    assert 0.02 < (pixels < 0.9).mean() < 0.5
    assert pixels[0].min() == pixels[:, 0].min() == pixels[-1].min() == pixels[:, -1].min() == 1, "nothing is cut off"


def test_communities_are_drawn_apart(tmp_path: Path) -> None:
    weights, pictures = {"visual": np.linspace(0, 1, 100)}, []
    for communities in (np.arange(100) % 2, np.arange(100) // 50):  # the same sizes, the same histogram
        figures.weights_by_community(tmp_path / "w.png", "weights", weights, communities, "a note")
        pictures.append(read(tmp_path / "w.png"))
    assert (pictures[0] != pictures[1]).mean() > 0.01


def test_weights_that_are_all_the_same(tmp_path: Path) -> None:
    figures.weights_by_community(tmp_path / "w.png", "weights", {"visual": np.ones(5)}, np.zeros(5, int), "a note")
    assert (read(tmp_path / "w.png") < 0.5).any()


def test_a_table_in_markdown() -> None:
    table = TextTable(("model", "mean"), {"recall@20": [("a|b", ".1"), ("c", ".2")], "ndcg@20": [("d", ".3")]})
    assert table.markdown() == (
        "**recall@20**\n\n| model | mean |\n|---|---:|\n| a\\|b | .1 |\n| c | .2 |\n\n"
        "**ndcg@20**\n\n| model | mean |\n|---|---:|\n| d | .3 |\n"
    )


def test_a_name_with_a_dollar_or_a_control_character_is_drawn_as_text(tmp_path: Path) -> None:
    plain = draw_comparison(tmp_path / "plain.png")
    odd = draw_comparison(tmp_path / "odd.png", label="$\\frac{$ \x1b[2J")
    assert odd.shape == plain.shape
