"""The report in a real browser: no complaint on its console, no request, nothing to scroll sideways on a phone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dualgnn_dist import report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NAME = "<script>document.title='taken'<|script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a screen; it logs its console and its network."""
    programs = [shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("there is no chromium with a chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def opened(browser: Any, page: Path, width: int) -> None:
    """Opens a page in a window of this width, everything unfolded, and holds it to what every page must keep."""
    browser.get_log("browser"), browser.get_log("performance")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    assert browser.execute_script("return window.innerWidth") == width
    for _ in ("folded", "unfolded"):
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.execute_script("return [...document.querySelectorAll('svg')].every(one => one.clientWidth > 0)")
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked, "the log tells of requests"
    assert [url for url in asked if url != page.as_uri() and not url.startswith("data:")] == []


@pytest.fixture
def run(trained: Callable[..., Path], call: Callable[..., Any]) -> Path:
    folder = trained({"run.name": NAME})
    assert call(report.main, "--run", folder).code == 0
    return folder


def test_the_page_of_a_run(browser: Any, run: Path, call: Callable[..., Any]) -> None:
    for width in (1200, 390):
        opened(browser, run / "report.html", width)
        assert browser.title == NAME == browser.find_element("tag name", "h1").text
        assert browser.find_elements("tag name", "img") == []
        headings = [one.text for one in browser.find_elements("tag name", "h2")]
        assert headings == [
            *("Test metrics", "Learning curves", "Where time went", "Memory", "Modality weights by community"),
            *("Data", "Run it again"),
        ]
        assert "±" in browser.find_element("tag name", "table").text
    (run / "metrics.json").unlink()
    assert call(report.main, "--run", run).code == 0
    opened(browser, run / "report.html", 390)
    assert "Unfinished: 3 of at most 3 epochs" in browser.find_element("class name", "note").text


def test_the_page_of_a_sweep(browser: Any, run: Path, call: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    search = {"optimizer.learning_rate": {"loguniform": [1e-5, 1]}, "model.fusion": {"choice": ["mean", "max"]}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"search": search, "train": {"metric": "recall@20"}}))
    states = ("complete", "stopped", "failed")
    trials = [
        {
            "number": number,
            "params": {"optimizer.learning_rate": 10.0**-number, "model.fusion": ("mean", "max")[number % 2]},
            "state": states[number % 3],
            "value": None if number % 3 == 2 else 0.1 * number,
            "epochs": number,
            "seconds": 100.0 - number,
            "error": "it diverged " * 40 if number % 3 == 2 else None,
            "seed_values": [],
        }
        for number in range(6)
    ]
    (folder / "trials.jsonl").write_text("".join(json.dumps(trial) + "\n" for trial in trials))
    metrics = json.loads((run / "metrics.json").read_text())
    shutil.copytree(run, folder / "runs" / run.name)
    winner = {"number": 3, "params": trials[3]["params"], "run_folder": f"runs/{run.name}"}
    winner.update(validation=metrics["validation"], test=metrics["test"])
    (folder / "winner.json").write_text(json.dumps(winner))
    assert call(report.main, "--sweep", folder).code == 0
    for width in (1200, 390):
        opened(browser, folder / "report.html", width)
        assert "±" in browser.find_element("tag name", "table").text
        assert shown(browser)[0] == "3", "the best comes first"
        button = browser.find_element("css selector", ".best").find_element("xpath", "../../thead//button[.='trial']")
        browser.execute_script("arguments[0].click()", button)
        assert shown(browser) == list("012345")
        browser.execute_script("arguments[0].click()", button)
        assert shown(browser) == list("543210") and browser.get_log("browser") == []


def shown(browser: Any) -> list[str]:
    """The trials' numbers in the order of the table that can be sorted."""
    script = "return [...document.querySelector('.best').parentNode.rows].map(row => row.cells[0].textContent)"
    return browser.execute_script(script)


def test_what_is_no_folder_or_damaged_is_refused(run: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    assert "there is no such folder" in refused(report.main, "--run", tmp_path / "none")
    assert "is not the folder of a sweep" in refused(report.main, "--sweep", run)
    (run / "metrics.json").write_text('{"test": ')
    assert "metrics.json is damaged" in refused(report.main, "--run", run)
