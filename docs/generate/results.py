"""The tables of what models reach: docs/results.md, and the short one of the README."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from text import MODELS, metric, percent, result, sourced, spread, table

RECALL, NDCG = "test recall@20", "test ndcg@20"


def _model_rows(*names: str) -> list[dict[str, Any]]:
    """The rows of measurements that share data and budget, the best test Recall first."""
    rows = [row for name in names for row in result(name)["rows"]]
    return sorted(rows, key=lambda row: row[RECALL], reverse=True)


def models(*names: str) -> str:
    """One row a model: every model of the measurements, which share data and budget."""
    headings = ["model", "seeds", "Recall@20", "NDCG@20", "validation Recall@20", "best epoch", "settings searched"]
    rows = [
        [
            MODELS[row["model"]],
            str(row["seeds"]),
            spread(row, RECALL),
            spread(row, NDCG),
            spread(row, "validation recall@20"),
            str(row["best epoch"]),
            str(row["searched"]),
        ]
        for row in _model_rows(*names)
    ]
    return sourced(table(headings, rows), *names)


def variants(name: str) -> str:
    """One row a variant of the first: what differs, and what it reaches."""
    values = result(name)
    differs = dict(variant.split(":", 1) for variant in values["budget"]["variants"])
    headings = ["what differs", "seeds", "validation Recall@20", "test Recall@20", "test NDCG@20", "best epoch"]
    rows = [
        [
            _settings(differs[row["model"]]) if row["model"] in differs else f"nothing ({MODELS[row['model']]})",
            str(row["seeds"]),
            spread(row, "validation recall@20"),
            spread(row, RECALL),
            spread(row, NDCG),
            str(row["best epoch"]),
        ]
        for row in values["rows"]
    ]
    return sourced(table(headings, rows), name)


def _settings(overrides: str) -> str:
    return ", ".join(f"`{override}`" for override in overrides.split(";"))


def missing_modality(*names: str) -> str:
    """Recall@20 as content is hidden, and what is kept of it: a block of rows a data set, a column a model."""
    blocks = []
    shown: list[str] = []
    for name in names:
        values = result(name)
        shown = values["options"]["models"]
        by_share: dict[float, dict[str, dict[str, Any]]] = {}
        for row in values["rows"]:
            by_share.setdefault(row["share"], {})[row["model"]] = row
        data = name.removeprefix("missing_modality_")
        epochs = next(text.partition("=")[2] for text in values["options"]["overrides"] if "epochs" in text)
        blocks += [
            [
                f"{data}, {epochs} epochs" if share == 0 else "",
                percent(share),
                *(_kept(by_model[model], share) for model in shown),
            ]
            for share, by_model in by_share.items()
        ]
    return sourced(table(["data", "share hidden", *(MODELS[model] for model in shown)], blocks), *names)


def _kept(row: dict[str, Any], share: float) -> str:
    return metric(row["recall@20"]) + (f" ({percent(row['kept'])})" if share else "")


def price_of_sampling(*names: str) -> str:
    """LightGCN with whole neighbourhoods, with sampled ones, and with Adam that leaves untouched rows alone."""
    arms = {
        "full": "every neighbour, dense Adam",
        "sampled": "sampled, Adam that catches up",
        "lazy": "sampled, lazy Adam",
    }
    rows = []
    for name in names:
        values = result(name)
        tests = {(row["arm"], row["metric"]): row for row in values["paired"]}
        for row in values["arms"]:
            rows.append(
                [
                    name.removeprefix("price_of_sampling_") if row["arm"] == "full" else "",
                    arms[row["arm"]],
                    str(row["seeds"]),
                    spread(row, "recall@20"),
                    spread(row, "ndcg@20"),
                    *(_difference(tests.get((row["arm"], key))) for key in ("recall@20", "ndcg@20")),
                ]
            )
    headings = ["data", "arm", "seeds", "Recall@20", "NDCG@20", "Recall against full", "NDCG against full"]
    return sourced(table(headings, rows), *names)


def _difference(test: dict[str, Any] | None) -> str:
    if test is None:
        return ""
    chance = f"{test['p']:.2f}" if test["p"] >= 0.01 else f"{test['p']:.4f}"
    return f"{test['difference']:+.4f} (p {chance})"


def deviations(name: str) -> str:
    """What the released code's evaluation makes of one and the same trained run."""
    evaluations = {
        "as here": "as here",
        "ndcg over hits": "NDCG over the hits",
        "excluded at 1e-5": "excluded items at 1e-5",
        "test hidden": "test items hidden from validation",
        "both": "all of them",
        "all three": "all of them",
    }
    cells: dict[tuple[str, str, str], str] = {}
    for row in result(name)["rows"]:
        place = (evaluations[row["evaluation"]], row["split"], row["run"].partition("_search")[0])
        cells[place] = f"{metric(row['recall@20'])} / {metric(row['ndcg@20'])}"
    columns = [(split, model) for split in ("test", "valid") for model in ("dualgnn", "lightgcn")]
    headings = ["evaluation"] + [
        f"{MODELS[model]}, {'test' if split == 'test' else 'validation'}" for split, model in columns
    ]
    rows = [
        [evaluation, *(cells.get((evaluation, split, model), "") for split, model in columns)]
        for evaluation in dict.fromkeys(evaluations.values())
    ]
    return sourced(table(headings, rows), name)


def sweeps(*names: str) -> str:
    """What sweeps found, and the search by hand in the same sweeps: their trial 1."""
    rows = []
    for name in names:
        values = result(name)
        winner, trials = values["winner"], values["trials"]
        by_hand = next(trial["value"] for trial in trials if trial["number"] == 1)
        rows.append(
            [
                MODELS[name.removeprefix("sweep_tiktok_")],
                str(len(trials)),
                metric(by_hand),
                metric(winner["validation"]["recall@20"]),
                f"{metric(winner['test']['recall@20'])} / {metric(winner['test']['ndcg@20'])}",
            ]
        )
    headings = ["model", "trials", "validation, by hand", "validation, the winner", "test Recall@20 / NDCG@20"]
    return sourced(table(headings, rows), *names)


def personal_weights(name: str) -> str:
    """DualGNN on the demo data, its modalities weighed by each user and not weighed."""
    values = result(name)
    rows = [[f"`{row['fusion']}`", str(row["seeds"]), *_both(row)] for row in values["rows"]]
    return sourced(table(["`model.fusion`", "seeds", "test Recall@20", "test NDCG@20"], rows), name)


def _both(row: dict[str, Any]) -> list[str]:
    values = {**row, f"± {RECALL}": row["± recall@20"], f"± {NDCG}": row["± ndcg@20"]}
    return [spread(values, RECALL), spread(values, NDCG)]


def in_short() -> str:
    """The README's: one row a data set, test Recall@20 of each model."""
    larger = {
        {"dualgnn_20_10": "dualgnn", "lightgcn_20_10": "lightgcn"}.get(row["model"], ""): row
        for row in result("quality_movielens_1m_vat_fanouts")["rows"]
    }
    data: dict[str, dict[str, Any]] = {
        "tiktok": _by_model("quality_tiktok", "quality_tiktok_mmgcn"),
        "movielens_1m_vat": _by_model("quality_movielens_1m_vat", "quality_movielens_1m_vat_mmgcn"),
        "the same, fanouts 20,10": larger,
    }
    rows = [
        [name, *(metric(by_model[model][RECALL]) if model in by_model else "" for model in MODELS)]
        for name, by_model in data.items()
    ]
    return table(["test Recall@20", *MODELS.values()], rows)


def _by_model(*names: str) -> dict[str, Any]:
    return {row["model"]: row for row in _model_rows(*names)}


def blocks() -> dict[str, Callable[[], str]]:
    """Every table of this file by its name in the pages."""
    arguments: dict[str, tuple[Callable[..., str], Sequence[str]]] = {
        "results-tiktok": (models, ["quality_tiktok", "quality_tiktok_mmgcn"]),
        "results-sweeps": (sweeps, ["sweep_tiktok_lightgcn", "sweep_tiktok_dualgnn"]),
        "results-movielens": (models, ["quality_movielens_1m_vat", "quality_movielens_1m_vat_mmgcn"]),
        "results-fanouts": (variants, ["quality_movielens_1m_vat_fanouts"]),
        "results-ablations": (variants, ["quality_movielens_1m_vat_dualgnn_ablations"]),
        "results-gowalla": (variants, ["quality_gowalla_draws"]),
        "results-missing": (
            missing_modality,
            ["missing_modality_movielens_1m_vat", "missing_modality_quickstart"],
        ),
        "results-sampling": (price_of_sampling, ["price_of_sampling_tiktok", "price_of_sampling_movielens_1m_vt"]),
        "results-weights": (personal_weights, ["personal_weights"]),
        "deviations": (deviations, ["deviations_movielens_1m_vat"]),
        "results-short": (in_short, []),
    }
    return {name: lambda make=make, names=names: make(*names) for name, (make, names) in arguments.items()}
