"""Test metrics of models on one config, mean and deviation over seeds: what `for_model` in the config chose, as it is.

    python benchmarks/quality.py --config configs/tiktok.yaml --models lightgcn bpr_mf dualgnn --seeds 5 \
        prepare.input=../shared/data/tiktok
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import common

METRICS = ("recall@20", "ndcg@20")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", default="runs/quality")
    options, overrides = parser.parse_known_args()
    data = Path(options.config).stem
    rows, runs = [], []
    for model in options.models:
        found = []
        for seed in range(1, options.seeds + 1):
            name = f"{data}_{model}_s{seed}"
            own = [f"model.name={model}", f"run.seed={seed}", f"run.name={name}", f"run.output={options.output}"]
            found.append(common.run(options.config, [*own, *overrides]))
        runs += found
        row: dict[str, object] = {"model": model, "seeds": len(found)}
        for split in ("validation", "test"):
            for metric in METRICS:
                values = [result[split][metric] for result in found]
                row[f"{split} {metric}"] = statistics.mean(values)
                row[f"± {split} {metric}"] = statistics.stdev(values) if len(values) > 1 else 0.0
        row["epochs"] = statistics.mean(result["epochs"] for result in found)
        row["training s"] = round(statistics.mean(result["seconds"]["training"] for result in found), 1)
        rows.append(row)
        common.show(f"{data}, mean over seeds", rows)
    common.file(f"quality_{data}_{'_'.join(options.models)}", {"rows": rows, "runs": runs, "overrides": overrides})


if __name__ == "__main__":
    main()
