"""What an installation from the wheel has: every file of the package, the configs, the mark of its types."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from email.parser import HeaderParser
from pathlib import Path

import pytest

import dualgnn_dist

ROOT = Path(dualgnn_dist.__file__).parents[1]
CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))
BUILT_FROM = ["pyproject.toml", "setup.py", "README.md", "LICENSE"]
INFO = f"dualgnn_dist-{dualgnn_dist.__version__}.dist-info"

LOADS = """
import dualgnn_dist
from dualgnn_dist.training.load import load, shipped_configs
from dualgnn_dist.training.sweep.load import load_sweep

print(dualgnn_dist.__file__)
for name, path in sorted(shipped_configs().items()):
    (load_sweep if name.startswith("sweep") else load)(name)
    print(path)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by setuptools of this environment from a copy of what it is built from: builds leave files beside it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    for folder in ("dualgnn_dist", "configs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    pip = ["pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(built), str(source)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-m", *pip], capture_output=True, text=True, cwd=source, env={**environment, "LC_ALL": "C"}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as an installation would be."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python in an empty folder that sees the installed package alone, not the checkout."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )

    return run


def test_the_wheel_holds_the_package_and_the_configs_and_nothing_else(wheel: Path) -> None:
    package = ROOT / "dualgnn_dist"
    ours = {f"dualgnn_dist/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file()}
    wanted = {name for name in ours if "__pycache__" not in name} | {f"dualgnn_dist/configs/{name}" for name in CONFIGS}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if not name.startswith(INFO)} == wanted
    assert "dualgnn_dist/py.typed" in names and "dualgnn_dist/configs/quickstart.yaml" in names
    assert f"{INFO}/licenses/LICENSE" in names and f"{INFO}/entry_points.txt" in names


def test_a_config_is_the_checkouts(installed: Path) -> None:
    for name in CONFIGS:
        assert (installed / "dualgnn_dist/configs" / name).read_bytes() == (ROOT / "configs" / name).read_bytes()


def test_what_the_wheel_says_of_itself(installed: Path) -> None:
    metadata = HeaderParser().parsestr((installed / INFO / "METADATA").read_text())
    assert metadata["Version"] == dualgnn_dist.__version__ and metadata["License-Expression"] == "Apache-2.0"
    admitted = {name.rpartition(" ")[2] for name in metadata.get_all("Classifier") if ":: Python :: 3." in name}
    assert admitted == {"3.11", "3.12", "3.13"}
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}


def test_the_configs_load_from_the_wheel(run: Callable[..., subprocess.CompletedProcess[str]], installed: Path) -> None:
    ended = run("-c", LOADS)
    assert ended.returncode == 0, ended.stderr
    package = installed / "dualgnn_dist"
    assert ended.stdout.splitlines() == [
        str(package / "__init__.py"),
        *(str(package / "configs" / name) for name in CONFIGS),
    ]


def test_the_verbs_run_from_the_wheel(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert run("-m", "dualgnn_dist", "--version").stdout == f"dualgnn-dist {dualgnn_dist.__version__}\n"
    ended = run("-m", "dualgnn_dist.train", "--config", "quikstart")
    assert ended.returncode == 2 and "names of configs that come with the package: debug, gowalla" in ended.stderr
