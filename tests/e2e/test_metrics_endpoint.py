"""A run on two Ray workers, scraped as Prometheus would."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from dualgnn_dist.launch import run
from dualgnn_dist.launch.ray_metrics import PREFIX
from dualgnn_dist.training.listeners.telemetry import METRICS
from dualgnn_dist.training.load import load


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the only node of a local cluster serves its metrics."""
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "1000")
    ray.init(address="local", num_cpus=2, logging_level="error")
    try:
        (node,) = ray.nodes()
        yield f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    finally:
        ray.shutdown()


def scrape(url: str) -> dict[tuple[str, str, str], float]:
    """(name, rank, table or metric) -> value, of this program's metrics."""
    found = {}
    with urllib.request.urlopen(url, timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if match := re.fullmatch(rf"(ray_{PREFIX}\w+)\{{(.*)\}} (\S+)", line):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2]))
                key = match[1], labels["rank"], labels.get("table", labels.get("metric", ""))
                found[key] = float(match[3])
    return found


def test_prometheus_sees_what_the_workers_measure(endpoint: str, write_config: Callable[..., Path]) -> None:
    seen: dict[tuple[str, str, str], float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            seen.update(scrape(endpoint))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run.start_run(load(write_config({"resources.num_workers": 2, "train.epochs": 12})))
        time.sleep(2.5)  # what a worker counted last is exported seconds later
    finally:
        done.set()
        watcher.join()
    suffixes = {"gauge": "", "counter": "_total", "histogram": "_count"}
    expected = {f"ray_{PREFIX}{name}{suffixes[metric.kind]}" for name, metric in METRICS.items()}
    assert expected <= {name for name, _, _ in seen}
    for rank in ("0", "1"):
        assert seen["ray_dualgnn_fetch_bytes_total", rank, "users"] > 0
        assert 0 < seen["ray_dualgnn_loss", rank, ""] < 10
        assert 0 < seen["ray_dualgnn_validation", rank, "recall@20"] < 1
