"""What the measurements share: where they ran, how runs are started, where results are filed."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import psutil
from matplotlib import pyplot
from rich.console import Console
from rich.table import Table

from dualgnn_dist.base.process import versions
from dualgnn_dist.launch.run import prepare_store, start_run
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_folder import METRICS

matplotlib.use("Agg")
RESULTS = Path(__file__).parent / "results"
_PATHS = ("data.store=", "prepare.input=", "run.output=")


def run(config: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Trains one run, or reads it if it is finished already; returns its metrics and where its folder is."""
    loaded = load(config, overrides)
    folder = loaded.run.folder
    if not (folder / METRICS).exists():
        start_run(loaded, resume=folder.exists())
    return {**json.loads((folder / METRICS).read_text()), "folder": str(folder)}


def run_all(arguments: Sequence[Sequence[str]], jobs: int) -> None:
    """Trains runs, each a config and its overrides, `jobs` at a time, each a process; finished ones are left alone.

    The stores are made first, one after another. `jobs` 0 makes the stores and trains nothing.
    """
    loaded = [load(config, overrides) for config, *overrides in arguments]
    for config in {config.data.store: config for config in loaded}.values():
        prepare_store(config)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # several processes would fight for the cores otherwise

    def one(index: int) -> None:
        folder = loaded[index].run.folder
        if (folder / METRICS).exists():
            return
        resume = ["--resume"] if folder.exists() else []
        command = [sys.executable, "-m", "dualgnn_dist.train", "--config", *arguments[index], *resume]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        metrics = json.loads((folder / METRICS).read_text()) if ended.returncode == 0 else None
        said = (
            f"{metrics['test']['recall@20']:.4f} after {metrics['epochs']} epochs" if metrics else ended.stderr[-500:]
        )
        print(f"{folder.name}: test recall@20 {said}", flush=True)

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        list(pool.map(one, range(len(loaded) if jobs else 0)))


def result(arguments: Sequence[str]) -> dict[str, Any] | None:
    """The metrics of a run that `run_all` trained, and where its folder is; None if it did not end."""
    folder = load(arguments[0], arguments[1:]).run.folder
    if not (folder / METRICS).exists():
        return None
    return {**json.loads((folder / METRICS).read_text()), "folder": str(folder)}


def without_paths(value: Any) -> Any:
    """The same result without this machine's paths: they mean nothing elsewhere."""
    if isinstance(value, Mapping):
        return {key: without_paths(item) for key, item in value.items() if key not in ("folder", "path", "output")}
    if isinstance(value, list):
        return [without_paths(item) for item in value if not (isinstance(item, str) and item.startswith(_PATHS))]
    return value


def hardware() -> dict[str, Any]:
    """Cores, memory, date and versions: a figure without them says nothing."""
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "machine": platform.machine(),
        "versions": versions(),
    }


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows as a table; the first row names the columns."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=140).print(table)


def bars(name: str, values: Mapping[str, float], label: str) -> None:
    """Draws a bar a contender beside the result: ours in green; on a logarithmic axis where they are far apart."""
    is_far = max(values.values()) > 30 * min(values.values())
    figure, axes = pyplot.subplots(figsize=(7, 0.6 + 0.4 * len(values)), constrained_layout=True)
    colors = ["#1b7837" if contender.startswith("ours") else "#999999" for contender in values]
    axes.bar_label(axes.barh(list(values), list(values.values()), color=colors), fmt="%.3g", padding=3)
    axes.set(xscale="log" if is_far else "linear", xlabel=f"{label} (logarithmic)" if is_far else label)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=110)
    pyplot.close(figure)


def file(name: str, result: Mapping[str, Any]) -> None:
    """Files a result under `results/` and prints it as the last line."""
    complete = {**without_paths(dict(result)), "hardware": hardware()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(complete, indent=1) + "\n")
    print(json.dumps(complete))
