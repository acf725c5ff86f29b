"""What sampling and sparse Adam cost in quality: LightGCN trained three ways, the same seeds, compared user by user.

    full      every neighbour at every hop, rows under Adam as if dense: the published way
    sampled   the config's fanouts, sparse Adam that catches up (`optimizer.rows: catch_up`)
    lazy      the config's fanouts, sparse Adam that leaves untouched rows alone (`optimizer.rows: lazy`)

`full` uses `catch_up` too: it equals dense Adam (tests/unit/embeddings/test_adam.py compares it with torch.optim.Adam).

    python benchmarks/price_of_sampling.py --config configs/tiktok.yaml prepare.input=../shared/data/tiktok
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import common
import numpy as np

from dualgnn_dist.results.compare import paired_tests
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.results.per_user import per_user

ARMS = {
    "full": ["sampler.fanouts=all", "optimizer.rows=catch_up"],
    "sampled": ["optimizer.rows=catch_up"],
    "lazy": ["optimizer.rows=lazy"],
}
METRICS = ("recall@20", "ndcg@20")


def metrics_of_users(run: dict[str, Any]) -> dict[str, np.ndarray]:
    """Test metrics of every user with a held-out item, from the run's exported representations."""
    finished = FinishedRun.read(run["folder"])
    store = finished.open_store()
    return per_user(finished, finished.learned(store), store, METRICS, "test", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--output", default="runs/price_of_sampling")
    options, overrides = parser.parse_known_args()
    data = Path(options.config).stem
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in options.arms}
    for seed in options.seeds:
        for arm in options.arms:
            own = [f"run.name={data}_{arm}_s{seed}", f"run.seed={seed}", f"run.output={options.output}"]
            settings = ["model.name=lightgcn", "resources.num_workers=0", *ARMS[arm], *own, *overrides]
            found[arm].append(common.run(options.config, settings))
    rows = [summarise(arm, runs) for arm, runs in found.items()]
    common.show(f"{data}, LightGCN: test metrics of the best validation epoch", rows)
    by_user = {arm: [metrics_of_users(run) for run in runs] for arm, runs in found.items()}
    pairs = [compare(by_user, "full", arm, metric) for arm in options.arms if arm != "full" for metric in METRICS]
    common.show("against full, paired over users (means over seeds)", pairs)
    common.file(f"price_of_sampling_{data}", {"arms": rows, "paired": pairs, "overrides": overrides})


def summarise(arm: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and deviations over seeds."""
    row: dict[str, Any] = {"arm": arm, "seeds": len(runs)}
    for metric in METRICS:
        values = [run["test"][metric] for run in runs]
        row[metric], row[f"± {metric}"] = statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0
    row["best epoch"] = statistics.mean(run["best_epoch"] for run in runs)
    row["seconds an epoch"] = statistics.mean(run["seconds"]["training"] / run["epochs"] for run in runs)
    return row


def compare(by_user: dict[str, list[dict[str, np.ndarray]]], base: str, arm: str, metric: str) -> dict[str, Any]:
    """The difference of a user's mean over seeds, its 95 % interval over users, and the paired t-test's p."""
    measured = paired_tests.measure({name: [seed[metric] for seed in by_user[name]] for name in (base, arm)}, base)
    against = measured[arm].against
    assert against is not None
    return {
        "arm": arm,
        "metric": metric,
        "difference": against.difference,
        "low": against.low,
        "high": against.high,
        "relative": against.difference / measured[base].mean,
        "p": against.p_t,
    }


if __name__ == "__main__":
    main()
