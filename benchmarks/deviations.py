"""What the evaluation of the released DualGNN code does to the numbers: one trained run ranked its way and ours.

ndcg over hits     the ideal list holds the hits found, not the held-out items
excluded at 1e-5   items that are not to be listed get the score 1e-5 in the place of minus infinity
test hidden        validation ranks without the test items: model selection that has read the test labels

python benchmarks/deviations.py --runs runs/tiktok_dualgnn_s1 runs/tiktok_lightgcn_s1
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch

from dualgnn_dist.evaluation import metrics
from dualgnn_dist.evaluation.evaluate import seen_items
from dualgnn_dist.results.finished_run import FinishedRun, Learned

K = 20
BLOCK = 1024


def ranked(found: Learned, excluded: tuple[np.ndarray, np.ndarray], score: float) -> np.ndarray:
    """int32 [U, K]: the plain way, a dense block of scores and a sort, with `score` for what is excluded."""
    lists = []
    for start in range(0, len(found.users), BLOCK):
        scores = found.users[start : start + BLOCK] @ found.items.T
        for row in range(len(scores)):
            user = start + row
            scores[row, excluded[1][excluded[0][user] : excluded[0][user + 1]]] = score
        lists.append(torch.from_numpy(scores).topk(K).indices.numpy().astype(np.int32))
    return np.concatenate(lists)


def measure(run: Path) -> list[dict[str, Any]]:
    """Rows of the table for one run."""
    finished = FinishedRun.read(run)
    store = finished.open_store()
    found = finished.learned(store)
    everyone = np.arange(store.manifest.num_users, dtype=np.int32)
    seen = {split: seen_items(store, everyone, split) for split in ("valid", "test")}
    held = {split: store.held_out(split, everyone) for split in ("valid", "test")}
    with_test = _joined(seen["valid"], held["test"])
    cases = [
        ("test", "as here", seen["test"], -np.inf, "standard"),
        ("test", "ndcg over hits", seen["test"], -np.inf, "dualgnn"),
        ("test", "excluded at 1e-5", seen["test"], 1e-5, "standard"),
        ("test", "both", seen["test"], 1e-5, "dualgnn"),
        ("valid", "as here", seen["valid"], -np.inf, "standard"),
        ("valid", "test hidden", with_test, -np.inf, "standard"),
        ("valid", "all three", with_test, 1e-5, "dualgnn"),
    ]
    rows = []
    for split, case, excluded, score, convention in cases:
        values = metrics.user_metrics(ranked(found, excluded, score), held[split], (K,), convention)  # type: ignore[arg-type]
        means = metrics.means(metrics.sums(values))
        rows.append(
            {
                "run": run.name,
                "split": split,
                "evaluation": case,
                "recall@20": means["recall@20"],
                "ndcg@20": means["ndcg@20"],
            }
        )
    return rows


def _joined(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    parts = [
        np.concatenate([items[offsets[user] : offsets[user + 1]] for offsets, items in (one, other)])
        for user in range(len(one[0]) - 1)
    ]
    return np.cumsum([0, *map(len, parts)]), np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", required=True)
    parser.add_argument("--name", default="deviations")
    options = parser.parse_args()
    rows = [row for run in options.runs for row in measure(Path(run))]
    common.show("The released evaluation and this one", rows)
    common.file(options.name, {"rows": rows})


if __name__ == "__main__":
    main()
