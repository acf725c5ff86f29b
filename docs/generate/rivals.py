"""Every stage beside its rivals, each in one run: the first table of docs/speed.md, and the short one of the README."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from text import milliseconds, result, seconds, short, sourced, table

_STAGES = ("hops", "negatives", "features", "cooccurrence", "tables", "step_10000000", "inference", "ranking")
_HEADINGS = ("stage", "the work", "ours", "rivals, in the same run")
Stage = tuple[str, str, str, str]


def measured(name: str, key: str) -> dict[str, dict[str, Any]]:
    """A measurement's rows by who was measured; what was not run there is left out."""
    return {row[key]: row for row in result(name)["rows"] if "seen elsewhere" not in row[key]}


def _hops() -> Stage:
    values, rows = result("hops"), measured("hops", "sampler")
    options, rates = values["options"], values["batches_per_second"]
    nodes = short(options["users"] + options["items"])
    return (
        "hops",
        f"{options['seeds']:,} seeds, fanouts 10,5, {nodes} nodes, {2 * options['interactions'] / 1e6:.1f} M entries, "
        f"{short(values['nodes'])} nodes reached, one thread",
        f"{milliseconds(rows['ours: draw + relabel']['ms'])} "
        f"({milliseconds(rows['ours: whole']['median ms'])} median with the transposes); "
        f"two threads make {rates['2'] / rates['1']:.2f} times the batches",
        f"torch, vectorised {milliseconds(rows['torch, vectorised']['ms'])}, "
        f"plain Numba {milliseconds(rows['plain Numba']['ms'])}",
    )


def _negatives() -> Stage:
    rows = measured("negatives", "sampler")
    return (
        "negatives",
        f"{result('negatives')['options']['batch']:,} users",
        f"{milliseconds(rows['ours, uniform']['ms'])}; by popularity {milliseconds(rows['ours, by popularity']['ms'])}",
        f"NumPy {milliseconds(rows['NumPy, vectorised']['ms'])}, "
        f"a Python loop {milliseconds(rows['Python loop']['ms'])}",
    )


def _features() -> Stage:
    values = result("features")
    options = values["options"]
    rows = {row["gathered by"]: row["ms"] for row in values["rows"] if row["rows"] == "49,000"}
    return (
        "features",
        f"49,000 rows of {short(options['items'])} x {options['dimension']} float16, one thread: "
        "to float32, to bfloat16",
        f"{rows['ours (float32)']:.0f} ms, {rows['ours (bfloat16)']:.0f} ms",
        f"NumPy's fancy indexing, widened to float32: {rows['np.memmap, widened to float32']:.0f} ms "
        f"(left at float16: {rows['np.memmap, left as float16']:.0f} ms)",
    )


def _cooccurrence() -> Stage:
    values, rows = result("cooccurrence"), measured("cooccurrence", "who")
    options = values["options"]
    loop = rows[f"released loop, {options['loop_users']} users x 100^2"]["seconds"]
    return (
        "co-occurrence",
        f"{short(options['users'])} users, {short(options['interactions'])} interactions, "
        f"{values['pairs'] / 1e9:.2f} G pairs, top 200",
        seconds(rows["ours"]["seconds"]),
        f"sparse_dot_topn {rows['sparse_dot_topn']['seconds']:.1f} s, "
        f"SciPy {rows['scipy product + argpartition, 1 thread']['seconds']:.1f} s (one thread), "
        f"the released double loop {loop / 60:.0f} minutes (extrapolated from {options['loop_users']} users)",
    )


def _tables() -> Stage:
    options, rows = result("tables")["options"], measured("tables", "table")

    def both(row: dict[str, Any]) -> str:
        return f"{row['forward s']:.3f} s, {row['backward + update s']:.3f} s"

    return (
        "tables",
        f"{short(options['rows'])} x {options['width']}, {short(options['requested'])} rows a step, "
        f"{options['workers']} gloo workers: forward, backward + update",
        both(rows["ours"]),
        f"TorchRec with fused row-wise Adagrad {both(rows['torchrec'])}; "
        f"a plain all-to-all with `SparseAdam` {both(rows['plain'])}",
    )


def _step() -> Stage:
    options, rows = result("step_10000000")["options"], measured("step_10000000", "contender")
    return (
        "step",
        f"DualGNN, {short(options['users'])} users, {short(options['interactions'])} interactions, batch 1,024: "
        f"{short(nodes_of(rows['ours']))} nodes",
        f"{step_of(rows['ours'])}; in bfloat16 {step_of(rows['ours, bfloat16'])}; with shared draws "
        f"({short(nodes_of(rows['ours, bfloat16, shared draws']))} nodes) too "
        f"{step_of(rows['ours, bfloat16, shared draws'])}",
        f"the same model in PyG's layers {step_of(rows['PyG layers, same batches'])}, in bfloat16 "
        f"{step_of(rows['PyG layers, bfloat16, same batches'])}; "
        f"the whole graph a batch {step_of(rows['whole graph a batch'])}",
    )


def nodes_of(row: dict[str, Any]) -> int:
    """The users and items that a batch reached."""
    return row["users of a batch"] + row["items of a batch"]


def step_of(row: dict[str, Any]) -> str:
    """The seconds of a step."""
    return seconds(row["step s"])


def _inference() -> Stage:
    values, rows = result("inference"), measured("inference", "model")

    def both(key: str) -> str:
        return f"{seconds(rows['lightgcn'][key])}, {seconds(rows['dualgnn'][key])}"

    return (
        "inference",
        f"{short(values['rows'][0]['users'])} users, exact, 2 layers: LightGCN, DualGNN",
        both("by layer s"),
        f"batches with whole neighbourhoods {both('by batch s')}",
    )


def _ranking() -> Stage:
    values = result("ranking")
    options = values["options"]

    def between(who: str) -> str:
        times = [row["seconds"] for row in values["rows"] if row["contender"].startswith(who)]
        return f"{min(times):.1f} to {max(times):.1f} s"

    ours = [row["seconds"] for row in values["rows"] if row["contender"] == "ours"]
    return (
        "ranking",
        f"{short(options['users'])} users x {short(options['items'])} items, top 50, 50 excluded each, "
        "four kinds of vectors",
        f"{min(ours):.2f} to {max(ours):.2f} s",
        f"faiss.knn {between('faiss')} (excludes nothing), torch matmul + topk {between('torch')}",
    )


def stages() -> str:
    """Every stage beside its rivals: who was not run there is not in it."""
    makers = (_hops, _negatives, _features, _cooccurrence, _tables, _step, _inference, _ranking)
    return sourced(table(_HEADINGS, [make() for make in makers]), *_STAGES)


def in_short() -> str:
    """The README's: three rows."""
    return table(_HEADINGS, [_step(), _cooccurrence(), _ranking()])


def blocks() -> dict[str, Callable[[], str]]:
    """Every table of this file by its name in the pages."""
    return {"speed-stages": stages, "speed-short": in_short}
