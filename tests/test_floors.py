"""The tree's floors: imports go down only. The checker is itself tested, on a tree made up to be wrong."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import dualgnn_dist

PACKAGE = "dualgnn_dist"
ROOT = Path(dualgnn_dist.__file__).parent

FLOORS = [
    {"__init__", "strict", "csr", "hash", "world", "types", "parts", "progress", "text_table", "figures", "memory"}
    | {"paired_tests", "communities", "threads", "telemetry", "training_progress"},
    {"remote", "node_cache", "stop", "trackers", "home"},
    {"store", "sampling", "models", "metrics", "row_adam", "routing", "run_folder", "export", "drop_modality"},
    {"build", "loader", "ranking", "sections", "tables"},
    {"checkpoint", "config", "inference"},
    {"evaluation", "state", "finished_run", "search", "mirror", "run_checkpoints"},
    {"trainer", "comparison", "explanation", "sweep_folder"},
    {"job", "comparison_text", "reporting"},
    {"launch"},
    {"cli"},
    # The verbs: they may call one another.
    {"prepare", "train", "tune", "evaluate", "compare", "explain", "report", "__main__"},
]

# Top-level name of a library -> the only modules or sub-packages that may know it.
CONFINED = {
    "ray": {"launch"},
    "optuna": {"launch"},
    "pyarrow": {"store", "build", "export", "remote"},
    "matplotlib": {"figures"},
    "scipy": {"paired_tests", "communities"},
}


@dataclass(frozen=True)
class Import:
    """One imported module: by whom, which, and where in its file."""

    importer: str  # dotted, without the package: `store.reader`
    imported: str  # dotted; of the package without its name, of a library with it
    line: int
    first_party: bool
    in_function: bool

    def __str__(self) -> str:
        return f"{self.importer} (line {self.line}) -> {self.imported}"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(root: Path) -> Iterator[Import]:
    modules = {module_name(path, root) for path in root.rglob("*.py")}
    for path in sorted(root.rglob("*.py")):
        importer = module_name(path, root)
        tree = ast.parse(path.read_text(), str(path))
        inner = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            for target in targets(node, modules):
                first_party = target.split(".")[0] == PACKAGE
                shown = (target.partition(".")[2] or "__init__") if first_party else target
                yield Import(importer, shown, node.lineno, first_party, id(node) in inner)  # type: ignore[attr-defined]


def targets(node: ast.AST, modules: set[str]) -> list[str]:
    """The dotted modules that a statement imports: of `from a import b`, `a.b` where that is a module, else `a`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, f"line {node.lineno}: a relative import; write `from {PACKAGE}. ...`"
    base = node.module or ""
    inner = base.removeprefix(PACKAGE).removeprefix(".")
    dotted = [f"{inner}.{alias.name}".removeprefix(".") for alias in node.names]
    return [f"{base}.{alias.name}" if name in modules else base for alias, name in zip(node.names, dotted, strict=True)]


def violations(root: Path, floors: list[set[str]]) -> list[str]:
    """Every import that goes up, sideways, in a circle, or inside a function, named."""
    floor_of = {name: floor for floor, names in enumerate(floors) for name in names}
    found, graph = [], {}
    for edge in imports(root):
        if not edge.first_party:
            library, unit = edge.imported.split(".")[0], edge.importer.split(".")[0]
            if library in CONFINED and unit not in CONFINED[library]:
                found.append(f"{edge}: only {', '.join(sorted(CONFINED[library]))} may import {library}")
            continue
        graph.setdefault(edge.importer, set()).add(edge.imported)
        importer, imported = edge.importer.split(".")[0], edge.imported.split(".")[0]
        for unit in {importer, imported} - floor_of.keys():
            found.append(f"{edge}: {unit} stands on no floor; add it to FLOORS")
        if edge.in_function:
            found.append(f"{edge}: inside a function")
        if importer == imported or {importer, imported} <= floors[-1] or not {importer, imported} <= floor_of.keys():
            continue
        up = floor_of[imported] - floor_of[importer]
        if up >= 0:
            found.append(f"{edge}: {'up' if up else 'sideways'}, floor {floor_of[importer]} to {floor_of[imported]}")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][:0:-1]
        first = circle.index(min(circle))
        found.append(f"a circle: {' -> '.join([*circle[first:], *circle[: first + 1]])}")
    return found


def test_imports_go_down_only() -> None:
    assert not (found := violations(ROOT, FLOORS)), "\n" + "\n".join(found)


def test_every_module_stands_on_one_floor() -> None:
    units = {module_name(path, ROOT).split(".")[0] for path in ROOT.rglob("*.py")}
    assert units == set().union(*FLOORS)
    assert sum(map(len, FLOORS)) == len(units)


def test_the_tree_has_the_imports_that_the_checker_looks_for() -> None:
    edges = list(imports(ROOT))
    assert len(edges) > 200
    assert {edge.imported.split(".")[0] for edge in edges if not edge.first_party} >= {"torch", *CONFINED} - {"optuna"}
    assert any(str(edge).startswith("trainer (line ") and edge.imported == "checkpoint" for edge in edges)


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("strict.py", "from dualgnn_dist.cli import help", "strict (line 1) -> cli: up, floor 0 to 9"),
        ("strict.py", "from dualgnn_dist import cli", "strict (line 1) -> cli: up, floor 0 to 9"),
        (
            "store/reader.py",
            "\nimport dualgnn_dist.metrics",
            "store.reader (line 2) -> metrics: sideways, floor 2 to 2",
        ),
        ("job.py", "def f():\n    from dualgnn_dist.strict import x", "job (line 2) -> strict: inside a function"),
        ("job.py", "f = lambda: 1\nimport ray.train", "job (line 2) -> ray.train: only launch may import ray"),
        ("job.py", "import matplotlib.figure", "(line 1) -> matplotlib.figure: only figures may import matplotlib"),
        ("job.py", "from scipy import stats", "-> scipy: only communities, paired_tests may import scipy"),
        (
            "job.py",
            "def f():\n    import pyarrow as pa",
            "-> pyarrow: only build, export, remote, store may import pyarrow",
        ),
        (
            "launch/tune.py",
            "def f():\n    import optuna\nfrom dualgnn_dist.cli import x",
            "launch.tune (line 3) -> cli: up",
        ),
        ("extra.py", "from dualgnn_dist.strict import x", "extra stands on no floor"),
        ("store/a.py", "from dualgnn_dist.store import reader", "a circle: store.a -> store.reader -> store.a"),
    ],
)
def test_a_wrong_import_is_named(tmp_path: Path, file: str, source: str, message: str) -> None:
    tree = {
        "__init__.py": "__version__ = '1'",
        "strict.py": "",
        "metrics.py": "from dualgnn_dist.strict import x",
        "cli.py": "",
        "trainer.py": "from dualgnn_dist import metrics, __version__",
        "job.py": "from dualgnn_dist.trainer import Trainer",
        "launch/local.py": "import ray\nfrom dualgnn_dist.job import run",
        "store/__init__.py": "",
        "store/reader.py": "import pyarrow\nfrom dualgnn_dist.store.a import b",
        "store/a.py": "from dualgnn_dist.strict import x",
        "train.py": "from dualgnn_dist.prepare import ensure\nfrom dualgnn_dist import cli",
        "prepare.py": "from dualgnn_dist import cli",
    }
    root = tmp_path / PACKAGE
    for name, text in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert violations(root, FLOORS) == []
    (root / file).write_text(source)
    (found,) = violations(root, FLOORS)
    assert message in found


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    (tmp_path / "strict.py").write_text("from . import trainer")
    with pytest.raises(AssertionError, match="relative import; write `from dualgnn_dist"):
        violations(tmp_path, FLOORS)
