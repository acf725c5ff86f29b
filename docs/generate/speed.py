"""The tables of time and memory in docs/speed.md, but for that of the rivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rivals import measured, nodes_of, step_of
from text import metric, percent, result, short, sourced, spread, table


def parts_of_a_step() -> str:
    """Where the time of a step goes; sampling runs ahead in another thread."""
    values = result("step_10000000")
    rows = [
        [row["contender"], *(f"{row[part] * 1e3:.0f}" for part in ("fetch", "forward", "backward", "rows", "sample"))]
        for row in values["stages"]
    ]
    headings = ["ms", "fetch rows", "forward", "backward", "update rows", "sample (ahead, in another thread)"]
    return sourced(table(headings, rows), "step_10000000")


def cheaper_steps() -> str:
    """What precision, draws and fanouts do to DualGNN's quality, and to a step where that was measured too."""
    steps = measured("step_10000000", "contender")
    timed = {
        ("float32", "independent", "10,5"): steps["ours"],
        ("bfloat16", "independent", "10,5"): steps["ours, bfloat16"],
        ("bfloat16", "shared", "10,5"): steps["ours, bfloat16, shared draws"],
    }
    rows = {}
    names = ("quality_movielens_1m_vat_precision_and_draws", "quality_movielens_1m_vat_fanouts")
    for name in names:
        values = result(name)
        differs = dict(variant.split(":", 1) for variant in values["budget"]["variants"])
        for row in values["rows"]:
            settings = dict(text.split("=", 1) for text in differs.get(row["model"], "").split(";") if text)
            if settings.get("model.name", "dualgnn") != "dualgnn":
                continue
            key = (
                settings.get("train.precision", "float32"),
                settings.get("sampler.draws", "independent"),
                settings.get("sampler.fanouts", "[10,5]").strip("[]"),
            )
            step = timed.get(key)
            rows[key] = [
                *key,
                "" if step is None else f"{step_of(step)}, {short(nodes_of(step))}",
                spread(row, "validation recall@20"),
                spread(row, "test recall@20"),
                metric(row["test ndcg@20"]),
            ]
    headings = ["`train.precision`", "`sampler.draws`", "`sampler.fanouts`", "step, nodes"]
    headings += ["validation Recall@20", "test Recall@20", "test NDCG@20"]
    return sourced(table(headings, list(rows.values())), *names, "step_10000000")


def graph_sizes() -> str:
    """The same batches on ever larger graphs."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in result("scaling_graph")["rows"]:
        rows.setdefault(row["interactions"], []).append(row)
    cells = [
        [
            short(interactions),
            f"{short(interactions / 10)}, {short(interactions / 100)}",
            ", ".join(f"{row['open ms']:.0f}" for row in by_batch) + " ms",
            *(f"{row['step ms']:.0f} ms ({short(row['nodes'])})" for row in by_batch),
            ", ".join(f"{row['private beside it GiB']:.2f}" for row in by_batch)
            + f" GiB beside {by_batch[0]['table GiB']:.2f}",
        ]
        for interactions, by_batch in rows.items()
    ]
    headings = ["interactions", "users, items", "open", "step of a batch of 16 (nodes)", "of 128", "of 1,024"]
    headings.append("memory of a worker beside table + moments, batch 16, 128, 1,024")
    return sourced(table(headings, cells), "scaling_graph")


def whole_graph() -> str:
    """100 M interactions: a sampled batch beside the propagation of the whole graph."""
    rows = [
        [row["contender"], f"{row['step s']:.3f} s", short(nodes_of(row)), f"{row['over ours']:.3g}"]
        for row in result("step_100000000")["rows"]
    ]
    return sourced(table(["who", "step", "nodes", "times ours"], rows), "step_100000000")


def preparing() -> str:
    """The stages of `prepare` at 100 M interactions."""
    row = result("prepare")["rows"][0]
    parts = list(row["seconds"])
    cells = [
        ["seconds", *(f"{row['seconds'][part]:.0f}" for part in parts)],
        ["peak MiB", *(f"{row['mib'][part]:,}" for part in parts)],
    ]
    return sourced(table([f"{short(row['size'])} interactions", *parts], cells), "prepare")


def shapes_of_logs() -> str:
    """`prepare` from the same interactions in several shapes, and as far as another checkout knows them."""
    values = result("reading")
    rows = {(row["shape"], row["package"]): row for row in values["rows"]}
    cells = []
    for shape in dict.fromkeys(row["shape"] for row in values["rows"]):
        this, other = rows[shape, "this"], rows.get((shape, "other"), {})
        before = "refused" if other.get("error") else f"{other['all s']:.0f} s" if other else ""
        figures = f"{this['file MiB']:,}", f"{this['read s']:.1f}", f"{this['all s']:.0f} s"
        cells.append([shape, *figures, before, f"{this['peak MiB']:,}"])
    size = short(values["options"]["interactions"])
    headings = [f"{size} interactions as", "MiB", "read s", "all", "all, before", "peak MiB"]
    return sourced(table(headings, cells), "reading")


def time_to_quality() -> str:
    """Seconds until a validation Recall@20 that both arms reach."""
    names = ("time_to_quality_gowalla", "time_to_quality_movielens_1m_vt")
    rows = []
    for name in names:
        values = result(name)
        for index, row in enumerate(values["rows"]):
            rows.append(
                [
                    name.removeprefix("time_to_quality_") if index == 0 else "",
                    row["arm"].replace("_40_20", " draws, fanouts 40,20"),
                    f"{metric(values['target'])} after {row['seconds to target']:.0f} s",
                    str(row["epochs to target"]),
                    f"{row['s an epoch']:.1f} s",
                    metric(row["best recall@20"]),
                ]
            )
    headings = ["data", "arm", "validation Recall@20", "epochs", "an epoch", "best Recall@20 seen"]
    return sourced(table(headings, rows), *names)


def workers() -> str:
    """Two workers pinned to a core each, against one."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    size = ""
    for row in result("worker_scaling")["rows"]:
        size = str(row["global batch"]) if row["scaling"] == "one" else size
        rows.setdefault(size, {})[row["scaling"]] = row
    cells = [
        [
            f"{int(batch):,}",
            *(f"{by_kind[kind]['over one worker']:.2f}" for kind in ("apart", "weak", "strong")),
            f"{by_kind['strong']['nodes/s over one']:.2f}",
            f"{short(by_kind['strong']['nodes a worker'])} of {short(by_kind['one']['nodes a worker'])}",
        ]
        for batch, by_kind in rows.items()
    ]
    headings = ["batch of one worker", "two apart", "weak: the same batch a worker", "strong: the same global batch"]
    headings += ["strong, per node", "nodes of a halved batch"]
    return sourced(table(headings, cells), "worker_scaling")


def ray_workers() -> str:
    """Ray workers on a graph that a batch reaches whole."""
    rows = [
        [
            row["scaling"],
            str(row["workers"]),
            f"{row['global batch']:,}",
            f"{row['epoch s']:.1f} s",
            f"{row['interactions/s']:,}",
            f"{row['over one worker']:.2f}",
        ]
        for row in result("scaling_workers")["rows"]
    ]
    headings = ["scaling", "workers", "global batch", "an epoch", "interactions/s", "times one worker"]
    return sourced(table(headings, rows), "scaling_workers")


def plan() -> str:
    """What a cluster would do, computed."""
    rows = [
        [
            str(row["GPUs"]),
            str(row["Gbit/s"]),
            f"{row['step ms']:.0f} ms",
            f"{row['interactions/s']:,}",
            f"{row['hours an epoch of MicroLens']:.2f}",
            f"{row['rows GB a GPU']:.1f} GB",
        ]
        for row in result("scaling_plan")["rows"]
    ]
    headings = ["GPUs", "Gbit/s", "step", "interactions/s", "hours an epoch of MicroLens", "rows + moments of a GPU"]
    return sourced(table(headings, rows), "scaling_plan")


def stages_of_runs() -> str:
    """Whole runs, stage by stage, on one worker and on two."""
    data = ("tiktok_dualgnn", "movielens_1m_vat_dualgnn", "movielens_1m_vt_dualgnn", "gowalla_lightgcn")
    rows = [
        [
            run if row["workers"] == 1 else "",
            str(row["workers"]),
            f"{row['prepare s']:.2f}",
            f"{row['epoch s']:.2f}",
            f"{row['interactions/s']:,}",
            percent(row["waiting"]),
            f"{row['inference s']:.2f}, {row['ranking s']:.2f}",
            "; ".join(str(peak) for peak in row["peak MiB of each worker"]),
        ]
        for run in data
        for row in result(f"stages_{run}")["rows"]
    ]
    headings = ["run", "workers", "prepare s", "epoch s", "interactions/s", "waiting", "inference, ranking s"]
    return sourced(table([*headings, "peak MiB of each worker"], rows), *(f"stages_{run}" for run in data))


def blocks() -> dict[str, Callable[[], str]]:
    """Every table of this file by its name in the pages."""
    makers: Sequence[tuple[str, Callable[[], str]]] = (
        ("speed-step", parts_of_a_step),
        ("speed-cheaper", cheaper_steps),
        ("speed-graph", graph_sizes),
        ("speed-whole-graph", whole_graph),
        ("speed-prepare", preparing),
        ("speed-reading", shapes_of_logs),
        ("speed-quality", time_to_quality),
        ("speed-workers", workers),
        ("speed-ray-workers", ray_workers),
        ("speed-plan", plan),
        ("speed-runs", stages_of_runs),
    )
    return dict(makers)
