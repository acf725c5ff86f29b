"""The page of one run: what ran, how it went, what came out and how sure that is; unfinished, what there is."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.finished_run import Learned, read_learned
from dualgnn_dist.results.report import page
from dualgnn_dist.results.report.axes import number
from dualgnn_dist.results.report.charts import Series, lines
from dualgnn_dist.results.report.data import about_data, about_weights
from dualgnn_dist.results.report.intervals import MAX_USERS, half_widths
from dualgnn_dist.results.report.markup import Html
from dualgnn_dist.results.report.page import Cell
from dualgnn_dist.results.report.time_and_memory import memory, spent, time_spent, total_seconds
from dualgnn_dist.results.run_files import Record, RunFiles
from dualgnn_dist.training.run_folder import CONFIG, METRICS

Section = tuple[str, Sequence[str]]


def run_page(files: RunFiles) -> str:
    """The page as HTML.

    Raises:
        UserError: the store and the run's files contradict one another.
    """
    config = files.config
    store, learned, missing = _open(files)
    sections: list[Section] = [("Learning curves", _curves(files))]
    if files.finished is not None:
        sections.insert(0, ("Test metrics", _test_metrics(files, store, learned, missing)))
        sections.append(("Where time went", time_spent(files)))
        sections.append(("Memory", memory(files)))
    else:
        sections.insert(1, ("Validation metrics", _validation_metrics(files)))
        sections.append(("Where time went", time_spent(files)))
    if files.finished is not None and learned is not None and store is not None:
        sections.append(("Modality weights by community", about_weights(files.finished, learned, store)))
    sections.append(("Data", about_data(files, store)))
    sections.append(("Run it again", _again(files)))
    subtitle = f"{config.model.name} on {config.data.store}, seed {config.run.seed}"
    return page.page(config.run.name, subtitle, files.written, [page.facts(_facts(files)), *_warnings(files)], sections)


def metrics_table(values: Record, half: Record) -> Html:
    """A row a list length K, a column a metric: the mean, and ± half of its 95 % interval where it is known."""
    names = list(dict.fromkeys(name.partition("@")[0] for name in values if "@" in name))
    lengths = list(dict.fromkeys(name.partition("@")[2] for name in values if "@" in name))
    rows = []
    for k in lengths:
        row = [Cell(k)]
        for name in names:
            mean, around = values.get(f"{name}@{k}"), half.get(f"{name}@{k}")
            shown = "-" if mean is None else f"{mean:.4f}"
            row.append(Cell(shown if around is None or mean is None else f"{shown} ± {_rounded(around)}"))
        rows.append(row)
    return page.table(["K", *names], rows)


def again(config: str, name: str) -> str:
    """The command line that trains a config once more, under another name."""
    plain = name if re.fullmatch(r"[A-Za-z_][\w.-]*", name) else json.dumps(name)  # an override's value is YAML
    return f"python -m dualgnn_dist.train --config {shlex.quote(config)} {shlex.quote(f'run.name={plain}')}"


def _open(files: RunFiles) -> tuple[Store | None, Learned | None, str | None]:
    """The store and the run's vectors; or why not."""
    try:
        if files.finished is None:
            return Store.open(files.config.data.store), None, None
        store = files.finished.open_store()
    except UserError as error:
        return None, None, str(error)
    try:
        return store, read_learned(files.finished, store), None
    except UserError as error:
        return store, None, str(error)


def _facts(files: RunFiles) -> list[tuple[str, str]]:
    summary, run = files.summary, files.finished
    workers = files.config.resources.num_workers if run is None else run.num_workers
    found = [("model", files.config.model.name)]
    if run is not None:
        k = files.config.train.metric.rpartition("@")[2]
        test = next(iter(run.metrics["test"].values()))
        found += [(f"test {name}", f"{test[name]:.4f}") for name in (f"recall@{k}", f"ndcg@{k}") if name in test]
    found.append(("epochs", number(summary.epochs if summary else max(files.training, default=0))))
    if files.best_epoch is not None:
        found.append(("best epoch", number(files.best_epoch)))
    if summary is not None:
        found.append(("time", spent(total_seconds(summary.seconds))))
        found.append(("peak memory", f"{max(summary.peak_memory_bytes, default=0) / 2**30:.2f} GiB"))
    shown = (
        "in process" if workers == 0 else number(workers) if isinstance(workers, int) else "{} to {}".format(*workers)
    )
    found.append(("workers", shown))
    found.append(("finished" if run else "last written", f"{files.written:%Y-%m-%d}"))
    return found


def _warnings(files: RunFiles) -> list[Html]:
    if files.finished is not None:
        return []
    done, planned = max(files.training, default=0), files.config.train.epochs
    return [
        page.note(
            f"Unfinished: {done:,} of at most {planned:,} epochs are in its history, and it has no {METRICS} yet. "
            "It is still running, or was stopped; then this goes on with it:"
        ),
        page.code(
            f"python -m dualgnn_dist.train --config {shlex.quote(str(files.folder / CONFIG))} --resume", is_command=True
        ),
    ]


def _test_metrics(files: RunFiles, store: Store | None, learned: Learned | None, missing: str | None) -> list[Html]:
    run = files.finished
    assert run is not None
    half: Mapping[str, Record] = {}
    if store is not None and learned is not None:
        try:
            half = half_widths(run, learned, store)
        except UserError as error:
            missing = str(error)
    parts = []
    for candidates, values in run.metrics["test"].items():
        items = "all items" if candidates == "all" else f"{candidates} items alone"
        users = f"{values.get('num_users', 0):,.0f} users"
        parts.append(page.paragraph(f"Means over {users}, {items} ranked, state of epoch {files.best_epoch}."))
        parts.append(metrics_table(values, half.get(candidates, {})))
    if missing is not None:
        return [*parts, page.note(f"Without confidence intervals: {missing}.")]
    said = (
        "± is half of the 95 % confidence interval over users (normal approximation). It speaks of other users like "
        "these; how much another seed would change is not in it."
    )
    if learned is not None and len(learned.users) > MAX_USERS:
        said += f" Deviations are those of {MAX_USERS:,} users drawn at random."
    if run.config.evaluation.ndcg_convention != "standard":
        said += f" NDCG by the convention {run.config.evaluation.ndcg_convention!r}: docs/from-the-released-code.md."
    return [*parts, page.remark(said)]


def _curves(files: RunFiles) -> list[Html]:
    if not files.training and not files.validation:
        return [page.note("No epoch has ended yet: the history is empty.")]
    best = files.best_epoch
    marked = None if best is None else (float(best), "best epoch")
    charts = []
    if files.training:
        charts.append(lines("training loss", "epoch", [_series(files.training, "loss")], marked))
    names = list(dict.fromkeys(name for record in files.validation.values() for name in record if "@" in name))
    by_metric: dict[str, list[str]] = {}
    for name in names:
        by_metric.setdefault(name.partition("@")[0], []).append(name)
    others: list[Html] = []
    judged = {"recall", "ndcg", files.config.train.metric.partition("@")[0]}
    for metric, keys in by_metric.items():
        drawn = lines(f"validation {metric}", "epoch", [_series(files.validation, key) for key in keys], marked)
        (charts if metric in judged else others).append(drawn)
    parts = [page.grid(charts)]
    if others:
        parts.append(page.folded(f"{len(others)} further validation metrics", page.grid(others)))
    if best is not None:
        parts.append(
            page.remark(
                f"The dashed vertical line is epoch {best}, the best by validation {files.config.train.metric}."
            )
        )
    return parts


def _series(records: Mapping[int, Record], name: str) -> Series:
    known = [(epoch, record[name]) for epoch, record in records.items() if name in record]
    return Series(name, [epoch for epoch, _ in known], [value for _, value in known])


def _validation_metrics(files: RunFiles) -> list[Html]:
    best = files.best_epoch
    if best is None:
        return [page.paragraph("None yet.")]
    return [page.paragraph(f"Of epoch {best}, the best so far."), metrics_table(files.validation[best], {})]


def _again(files: RunFiles) -> list[Html]:
    config = files.config
    parts = [page.code(again(str(files.folder / CONFIG), f"{config.run.name}_again"), is_command=True)]
    if config.prepare is not None and not config.prepare.input:
        parts.append(page.remark("It makes the store first if that is not there."))
    elif config.prepare is not None:
        parts.append(
            page.remark(
                f"It makes the store first if that is not there, from {config.prepare.input}; a relative path is one "
                "from the folder in which the run was started."
            )
        )
    if files.summary is not None:
        rows = [(Cell(name, kind="left"), Cell(value, kind="left")) for name, value in files.summary.versions.items()]
        parts.append(page.folded("Versions", page.table(["program", "version"], rows)))
    parts.append(page.folded("The whole config", page.code(files.config_text)))
    return parts


def _rounded(half_width: float) -> str:
    return "-" if half_width != half_width else f"{half_width:.4f}"
