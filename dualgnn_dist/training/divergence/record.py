"""What of a step's batch is extreme: items by their content, rows by their norms; in a file and in a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dualgnn_dist.base.storage.files import write_atomically
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.state import TrainingState

_SHOWN = 5  # of each kind
_MEASURES = {"content": "largest value", "rows": "norm"}


def in_batch(loader: Loader, state: TrainingState, store: Store, world: World, epoch: int, step: int) -> dict[str, Any]:
    """What this worker had in step `step` of `epoch`, both from 0: JSON values.

    The batch is made again: it is a function of its place. The rows are as they are now, which is some steps later.

    Returns:
        `batch`: rows of its users, positives and negatives; `content` and `rows`: the largest by modality and table;
        `not_finite`: what of the state is no finite number, and `rows_not_finite` how many rows.
    """
    triples, subgraph = loader.triples(epoch, step), (batch := loader.batch(epoch, step)).around.subgraph
    content = {}
    for modality, feature in batch.around.features.items():
        if feature.values is not None and feature.values.numel():
            largest = feature.values.float().abs().amax(1)
            content[modality] = _extremes(largest, subgraph.items, store, "items")
    rows, counts = {}, {}
    for side, table in state.tables.items():
        values, drawn = table.state.values, getattr(subgraph, side).to(torch.int64)
        own = drawn[drawn % world.size == world.rank]
        norms = torch.linalg.vector_norm(values[(own // world.size).to(values.device)], dim=1)
        if len(norms):
            rows[side] = _extremes(norms, own, store, side)  # type: ignore[arg-type]
        counts[side] = int((~torch.linalg.vector_norm(values, dim=1).isfinite()).sum())
    return {
        "rank": world.rank,
        "not_finite": state.parts_not_finite(),
        "rows_not_finite": counts,
        "content": content,
        "rows": rows,
        "batch": {name: value.tolist() for name, value in triples._asdict().items()},
    }


def write(folder: Path, epoch: int, step: int, values: dict[str, Any]) -> Path:
    """Keeps `values` in the run folder under the step's name, counted from 1; returns the file."""
    path = folder / f"diverged-epoch-{epoch:05d}-step-{step:07d}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"epoch": epoch, "step": step, **values}) + "\n")
    return path


def told(epoch: int, step: int, not_finite: Sequence[str] | None, workers: Sequence[dict[str, Any]]) -> str:
    """What went wrong in a step, both counted from 1, and what was largest in its batch.

    Args:
        not_finite: what of the state is not, where no step was caught; None: the step itself was not finite.
        workers: what `in_batch` gave each.
    """
    where = f"step {step} of epoch {epoch}"
    what = f"{where} gave a loss or a gradient that is not finite"
    if not_finite is not None:
        what = f"what the run had learned by {where} is not finite ({', '.join(not_finite)})"
    return f"{what}; largest in the batch: {sentence(workers)}"


def cure(newest: str | None, rate: float) -> str:
    """What to do, from the name of the last good checkpoint, if there is one, and the learning rate."""
    slower = f"--resume optimizer.learning_rate={rate / 10:g} (it is {rate:g})"
    if newest is None:
        return f"mend such content, or begin anew with a lower rate: {slower}"
    return f"mend such content, or go on from the last good checkpoint, {newest}, with a lower rate: {slower}"


def sentence(workers: Sequence[dict[str, Any]]) -> str:
    """The largest of each kind over all workers, from what `in_batch` gave each; empty where there is nothing."""
    said = []
    for kind, words in (("content", "the {} content of item"), ("rows", "the row of {}")):
        for name in dict.fromkeys(name for worker in workers for name in worker[kind]):
            parts = [worker[kind][name] for worker in workers if name in worker[kind]]
            part = max(parts, key=lambda part: float(part["largest"][0]["size"]))
            row = part["largest"][0]
            named = words.format(name.removesuffix("s") if kind == "rows" else name)
            size, median = float(row["size"]), float(part["median"])
            said.append(f"{named} {row['id']!r} ({_MEASURES[kind]} {size:.3g}, median {median:.3g})")
    return ", ".join(said)


def _extremes(sizes: Tensor, rows: Tensor, store: Store, side: Literal["users", "items"]) -> dict[str, Any]:
    """The rows with the largest of float32 [n] `sizes`, one that is no number before all others, and the median."""
    sizes = sizes.float().cpu()
    order = sizes.nan_to_num(nan=math.inf).topk(min(_SHOWN, len(sizes))).indices
    chosen = rows.cpu()[order].to(torch.int64).numpy()
    ids = [str(name) for name in store.ids(side, chosen).to_pylist()]
    largest = [
        {"id": name, "row": int(row), "size": _plain(size)}
        for name, row, size in zip(ids, chosen, sizes[order].tolist(), strict=True)
    ]
    return {"largest": largest, "median": _plain(sizes.nanmedian().item())}


def _plain(value: float) -> float | str:
    """As strict JSON has it: what is no finite number is a text that `float` reads."""
    return value if math.isfinite(value) else str(value)
