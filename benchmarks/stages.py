"""Seconds of every stage and peak memory of every worker, on one config, with 1 and 2 workers of one CPU each.

python benchmarks/stages.py --config configs/tiktok.yaml --model dualgnn --epochs 3 prepare.input=../shared/data/tiktok
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import common

from dualgnn_dist.launch.run import prepare_store
from dualgnn_dist.training.load import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--output", default="runs/stages")
    options, overrides = parser.parse_known_args()
    name = f"{Path(options.config).stem}_{options.model}"
    store = Path(options.output) / "store"
    own = [f"model.name={options.model}", f"run.output={options.output}", f"data.store={store}"]
    own += [f"train.epochs={options.epochs}", f"train.eval_every={options.epochs}", "resources.cpus_per_worker=1"]
    shutil.rmtree(options.output, ignore_errors=True)
    started = time.perf_counter()
    prepare_store(load(options.config, [*own, *overrides]))
    prepare_seconds = time.perf_counter() - started
    rows = []
    for workers in options.workers:
        run = [f"resources.num_workers={workers}", f"run.name={name}_{workers}"]
        found = common.run(options.config, [*own, *run, *overrides])
        history = [json.loads(line) for line in (Path(found["folder"]) / "history.jsonl").read_text().splitlines()]
        epochs = [line["training"] for line in history if "training" in line]
        rows.append(
            {
                "run": name,
                "workers": workers,
                "prepare s": round(prepare_seconds, 2),
                # The first epoch compiles the kernels where nothing has compiled them yet, and warms the page cache.
                "epoch s": round(min(epoch["seconds"] for epoch in epochs), 2),
                "interactions/s": round(max(epoch["interactions_per_second"] for epoch in epochs)),
                "waiting": round(min(epoch["waiting_share"] for epoch in epochs), 3),
                "inference s": round(found["seconds"]["inference"] / 2, 2),  # one validation, one test
                "ranking s": round(found["seconds"]["ranking"] / 2, 2),
                "peak MiB of each worker": [round(peak / 2**20) for peak in found["peak_memory_bytes"]],
            }
        )
    common.show(name, rows)
    common.file(f"stages_{name}", {"rows": rows, "overrides": overrides})


if __name__ == "__main__":
    main()
