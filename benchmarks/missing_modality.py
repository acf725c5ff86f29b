"""How good does a model stay when items miss modalities? Test metrics against the share of hidden content.

Each share hides each modality of an item on its own (`data.drop_modality`), in training and ranking alike, the same
items for every model. `kept` is the metric over that of the same model with nothing hidden.

    python benchmarks/missing_modality.py --config configs/movielens_1m_vat.yaml --shares 0 0.3 0.6 0.9 --jobs 2 \
        --settings "vbpr/model.regularization=0.01" -- prepare.input=../shared/data/movielens_1m_vat train.epochs=60
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import common
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

METRICS = ("recall@20", "ndcg@20")
MODELS = ("dualgnn", "mmgcn", "vbpr", "lightgcn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0, 0.1, 0.3, 0.5, 0.7, 0.9])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each with one thread")
    parser.add_argument("--settings", nargs="*", default=[], help="model/section.key=value: of one model's runs")
    parser.add_argument("--output", default="runs/missing_modality")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_intermixed_args()
    runs = {
        (model, share): [arguments(options, model, share, seed) for seed in range(1, options.seeds + 1)]
        for model in options.models
        for share in options.shares
    }
    common.run_all([args for found in runs.values() for args in found], options.jobs)
    rows = [row(model, share, found) for (model, share), found in runs.items()]
    for made in rows:
        full = next(
            other for other in rows if other["model"] == made["model"] and other["share"] == min(options.shares)
        )
        made["kept"] = made["recall@20"] / full["recall@20"]
    name = f"missing_modality_{Path(options.config).stem}"
    common.show(f"{name}: test metrics, mean over {options.seeds} seeds", rows)
    draw(rows, name)
    common.file(name, {"rows": rows, "options": {**vars(options), "output": None}})


def arguments(options: argparse.Namespace, model: str, share: float, seed: int) -> list[str]:
    """The config and overrides of one run."""
    own = [entry.partition("/")[2] for entry in options.settings if entry.partition("/")[0] == model]
    hidden = [f"data.drop_modality={{share: {share}}}"] if share else []
    name = "run.name=" + f"{model}_{share:g}_s{seed}".replace(".", "p")
    place = ["resources.num_workers=0", f"run.output={options.output}", name, f"run.seed={seed}"]
    return [options.config, f"model.name={model}", *options.overrides, *own, *hidden, *place]


def row(model: str, share: float, found: list[list[str]]) -> dict[str, Any]:
    """Means over seeds."""
    results = [common.result(args) for args in found]
    made: dict[str, Any] = {"model": model, "share": share, "seeds": len(results)}
    for metric in METRICS:
        values = [result["test"][metric] for result in results if result]
        made[metric] = statistics.mean(values)
        made[f"± {metric}"] = statistics.stdev(values) if len(values) > 1 else 0.0
    return made


def draw(rows: list[dict[str, Any]], name: str) -> None:
    """The curves, as they are and relative to nothing hidden, beside the table."""
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), constrained_layout=True)
    for panel, key, label in zip(axes, (*METRICS, "kept"), ("Recall@20", "NDCG@20", "Recall@20 kept"), strict=True):
        for model in dict.fromkeys(made["model"] for made in rows):
            of_model = [made for made in rows if made["model"] == model]
            errors = [made.get(f"± {key}", 0.0) for made in of_model]
            panel.errorbar(
                [made["share"] for made in of_model], [made[key] for made in of_model], errors, marker="o", label=model
            )
        panel.set(xlabel="share of hidden content", ylabel=label)
        panel.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle(name.replace("_", " "))
    figure.savefig(common.RESULTS / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
