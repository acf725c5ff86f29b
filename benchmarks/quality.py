"""Every model on one store under one budget: the same epochs, the same patience, as many settings searched, the seeds.

First every model tries the settings of `--search`, one seed each, and takes the best by VALIDATION; then that setting
runs with every seed. All settings that were tried are filed with the result. Without `--search` a model runs as the
config has it.

    python benchmarks/quality.py --config configs/tiktok.yaml --seeds 3 --epochs 200 --jobs 2 \
        --search optimizer.learning_rate=0.001,0.005 model.regularization=0.001,0.01 dualgnn/model.regularization=0.1 \
        -- prepare.input=../shared/data/tiktok
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import common

from dualgnn_dist.models import MODELS

METRICS = ("recall@20", "ndcg@20")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument(
        "--variants", nargs="*", default=[], help="name:section.key=value,..: more rows of the first model"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=200, help="the budget of every run")
    parser.add_argument(
        "--search", nargs="*", default=[], help="section.key=value,value: what models try; model/section.key=.. for one"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each with one thread")
    parser.add_argument("--name", help="of the result; the config's by default")
    parser.add_argument("--output", default="runs/quality")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_intermixed_args()
    budget = [f"train.epochs={options.epochs}", "resources.num_workers=0", f"run.output={options.output}"]
    arms = {model: [f"model.name={model}"] for model in options.models}
    for variant in options.variants:
        name, _, changes = variant.partition(":")
        arms[name] = [f"model.name={options.models[0]}", *changes.split(";")]
    shared = [*budget, *options.overrides]
    common.run_all([[options.config, *shared, "run.name=none"]], 0)  # makes the store once, before the runs share it
    searched = {arm: search(options, arm, settings, shared) for arm, settings in arms.items()} if options.search else {}
    if options.search:
        common.run_all([args for tried in searched.values() for args in tried.values()], options.jobs)
    chosen = {arm: best(tried) for arm, tried in searched.items()}
    runs = {
        arm: [
            [options.config, *shared, *settings, *chosen.get(arm, []), f"run.seed={seed}", f"run.name={arm}_s{seed}"]
            for seed in range(1, options.seeds + 1)
        ]
        for arm, settings in arms.items()
    }
    for arm, setting in chosen.items():  # the search ran the first seed already
        runs[arm][0] = searched[arm][" ".join(setting)]
    common.run_all([args for found in runs.values() for args in found], options.jobs)
    results = {arm: [common.result(args) for args in found] for arm, found in runs.items()}
    rows = [row(arm, found, len(searched.get(arm, {})), chosen.get(arm, [])) for arm, found in results.items()]
    data = options.name or Path(options.config).stem
    common.show(f"{data}, mean ± deviation over seeds, at most {options.epochs} epochs", [shown(made) for made in rows])
    trials = [
        {"arm": arm, "setting": setting, "validation": validation_of(args)}
        for arm, tried in searched.items()
        for setting, args in tried.items()
    ]
    common.file(
        f"quality_{data}",
        {"rows": rows, "searched": trials, "runs": results, "budget": vars(options) | {"output": None}},
    )


def search(
    options: argparse.Namespace, arm: str, settings: Sequence[str], shared: Sequence[str]
) -> dict[str, list[str]]:
    """Setting in words -> the arguments of its run, for every combination of the values of `--search`."""
    grid = {}
    for entry in sorted(options.search, key=lambda entry: "/" in entry):  # what is meant for one model comes last
        model, _, setting = entry.rpartition("/")
        key, _, values = setting.partition("=")
        if model in ("", arm):
            grid[key] = values.split(",")
    tried = {}
    for combination in itertools.product(*grid.values()):
        setting = [f"{key}={value}" for key, value in zip(grid, combination, strict=True)]
        name = "_".join([arm, "search", *combination]).replace(".", "p")
        tried[" ".join(setting)] = [options.config, *shared, *settings, *setting, "run.seed=1", f"run.name={name}"]
    return tried


def best(tried: Mapping[str, Sequence[str]]) -> list[str]:
    """The setting whose run was best on validation, as overrides."""
    return max(tried, key=lambda setting: validation_of(tried[setting])).split(" ")


def validation_of(args: Sequence[str]) -> float:
    """What decides between settings; one that diverged is the last."""
    result = common.result(args)
    return result["validation"]["recall@20"] if result else -1.0


def row(arm: str, found: Sequence[Mapping[str, Any]], num_searched: int, setting: Sequence[str]) -> dict[str, Any]:
    """A line of the table: means and deviations over seeds."""
    made: dict[str, Any] = {"model": arm, "seeds": len(found)}
    for split, metric in itertools.product(("validation", "test"), METRICS):
        values = [result[split][metric] for result in found]
        made[f"{split} {metric}"] = statistics.mean(values)
        made[f"± {split} {metric}"] = statistics.stdev(values) if len(values) > 1 else 0.0
    made["best epoch"] = round(statistics.mean(result["best_epoch"] for result in found))
    made["epochs"] = round(statistics.mean(result["epochs"] for result in found))
    made["training s"] = round(statistics.mean(result["seconds"]["training"] for result in found), 1)
    return made | {"searched": num_searched, "setting": " ".join(setting)}


def shown(made: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the table as it fits a screen."""
    metrics = {
        f"{split} {metric}": f"{made[f'{split} {metric}']:.4f} ± {made[f'± {split} {metric}']:.4f}"
        for split, metric in itertools.product(("validation", "test"), METRICS)
    }
    kept = {key: made[key] for key in ("best epoch", "epochs", "searched", "setting")}
    return {"model": made["model"], "seeds": made["seeds"], **metrics, **kept}


if __name__ == "__main__":
    main()
