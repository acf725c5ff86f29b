"""The Grafana dashboard asks only for what is exported, by names and labels that exist, and shows all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.training.listeners.telemetry import METRICS

BOARD = json.loads((Path(__file__).parents[2] / "cluster" / "grafana" / "dualgnn_dist.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
# Ray's own, as a node of Ray 2.60 serves them (those of GPUs where there are any).
OF_RAY = {
    "ray_component_cpu_percentage",
    "ray_component_rss_bytes",
    "ray_node_gpus_utilization",
    "ray_node_gram_used",
    "ray_node_mem_total",
    "ray_node_mem_used",
    "ray_node_network_receive_speed",
    "ray_node_network_send_speed",
}
SUFFIXES = {"gauge": [""], "counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
OURS = {f"ray_dualgnn_{name}{suffix}": metric for name, metric in METRICS.items() for suffix in SUFFIXES[metric.kind]}


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def asked(text: str) -> set[str]:
    return set(re.findall(r"\bray_\w+", re.sub(r'"[^"]*"', "", text)))


def test_every_metric_exists() -> None:
    assert set().union(*map(asked, expressions())) <= OURS.keys() | OF_RAY
    assert {name for name in set().union(*map(asked, expressions())) if name in OF_RAY} == OF_RAY


def test_every_metric_of_ours_is_shown() -> None:
    shown = {
        next(n for n in METRICS if OURS[name] is METRICS[n]) for e in expressions() for name in asked(e) & OURS.keys()
    }
    assert METRICS.keys() - shown == {"waiting_seconds"}  # its share is


@pytest.mark.parametrize("expression", expressions())
def test_labels_exist_and_counters_are_rates(expression: str) -> None:
    for name, filters in re.findall(r"(ray_dualgnn_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)=~", filters)) <= {"run", "rank", "model", OURS[name].label}
        if OURS[name].kind != "gauge":
            assert f"rate({name}" in expression
    assert expression.count("(") == expression.count(")") and expression.count("{") == expression.count("}")


def test_variables_are_declared_and_ids_differ() -> None:
    variables: dict[str, Any] = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD["panels"]))) - {"__rate_interval"}
    assert used == variables.keys()
    assert asked(" ".join(v["definition"] for v in variables.values() if v["type"] == "query")) <= OURS.keys()
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_panels_do_not_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        taken = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        cells |= taken
