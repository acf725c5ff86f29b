"""What personal modality weights are worth where tastes differ by modality: DualGNN with and without them.

The synthetic communities each decide by ONE modality. `weighted_sum` lets every user weigh them, `mean` cannot.

    python benchmarks/personal_weights.py --seeds 3
"""

from __future__ import annotations

import argparse
import statistics

import common

METRICS = ("recall@20", "ndcg@20")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", default="runs/personal_weights")
    options, overrides = parser.parse_known_args()
    rows = []
    for fusion in ("weighted_sum", "mean"):
        found = []
        for seed in range(1, options.seeds + 1):
            name = [f"run.name={fusion}_s{seed}", f"run.seed={seed}", f"run.output={options.output}"]
            settings = [f"model.fusion={fusion}", "resources.num_workers=0", *name, *overrides]
            found.append(common.run("configs/quickstart.yaml", settings))
        row: dict[str, object] = {"fusion": fusion, "seeds": options.seeds}
        for metric in METRICS:
            values = [run["test"][metric] for run in found]
            row[f"test {metric}"] = statistics.mean(values)
            row[f"± {metric}"] = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append(row)
    common.show("DualGNN on the synthetic demo data", rows)
    common.file("personal_weights", {"rows": rows, "overrides": overrides})


if __name__ == "__main__":
    main()
