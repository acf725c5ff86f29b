"""The tree's floors: imports go down only. The checker is itself tested, on a tree made up to be wrong."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import dualgnn_dist

PACKAGE = "dualgnn_dist"
ROOT = Path(dualgnn_dist.__file__).parent

VERBS = {"prepare", "train", "tune", "evaluate", "recommend", "export", "compare", "explain", "report"}

# What stands on each floor, from the ground up, and what it is in a line: CONTRIBUTING shows it.
FLOORS: list[tuple[set[str], str]] = [
    ({"__init__", "base"}, "what all stand on: batch, sparse, csr, randomness, world, config, errors, files, screen"),
    ({"data", "embeddings", "models"}, "raw data to a store; table rows on their owners; one file a model"),
    ({"sampling", "evaluation"}, "(epoch, step) -> `Batch`; exact representations, exact lists, metrics"),
    ({"training"}, "one run: config, loop, state, checkpoints, folder, telemetry"),
    ({"launch", "results"}, "where workers come from (nothing else knows Ray); a finished run read back"),
    (VERBS, "what one types: parse, call, show"),
    ({"__main__"}, "`dualgnn-dist VERB`"),
]

# Top-level name of a library -> the only modules and rooms that may know it.
CONFINED = {
    "ray": {"launch"},
    "optuna": {"launch"},
    "polars": {"data.prepare.frames"},
    "pyarrow": {
        "data",
        "evaluation.representations",
        "results.recommend",
        "results.vectors",
        "base.storage.remote",
    },
    "matplotlib": {"results.figures"},
    "scipy": {"results"},
}

# A verb answers `--help` before it knows what the work needs, and a training without Ray must not ask for Ray.
MAY_IMPORT_LATE = {*VERBS, "__main__", "launch.workers"}

MAX_LINES, MAX_FILES = 300, 16


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


def is_in(module: str, rooms: set[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def violations(root: Path, floors: list[tuple[set[str], str]]) -> list[str]:
    """Every import that goes up, sideways, in a circle, or inside a function, named."""
    floor_of = {name: floor for floor, (names, _) in enumerate(floors) for name in names}
    wrong, graph = [], {}
    for edge in imports(root):
        if not edge.first_party:
            library = edge.imported.split(".")[0]
            if library in CONFINED and not is_in(edge.importer, CONFINED[library]):
                wrong.append(f"{edge}: only {', '.join(sorted(CONFINED[library]))} may import {library}")
            continue
        importer, imported = edge.importer.split(".")[0], edge.imported.split(".")[0]
        if "__init__" in (importer, imported):  # the front door lists what is public, and all know the version
            continue
        graph.setdefault(edge.importer, set()).add(edge.imported)
        for room in {importer, imported} - floor_of.keys():
            wrong.append(f"{edge}: {room} stands on no floor; add it to FLOORS")
        if edge.in_function and edge.importer not in MAY_IMPORT_LATE:
            wrong.append(f"{edge}: inside a function")
        if importer == imported or not {importer, imported} <= floor_of.keys():
            continue
        up = floor_of[imported] - floor_of[importer]
        if up >= 0:
            wrong.append(f"{edge}: {'up' if up else 'sideways'}, floor {floor_of[importer]} to {floor_of[imported]}")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][:0:-1]
        first = circle.index(min(circle))
        wrong.append(f"a circle: {' -> '.join([*circle[first:], *circle[: first + 1]])}")
    return wrong


def table_of_floors() -> str:
    """What CONTRIBUTING shows: the highest floor first."""
    lines = ["| floor | what stands there | |", "|---|---|---|"]
    for floor, (names, what) in reversed(list(enumerate(FLOORS))):
        rooms = ", ".join(f"`{name}/`" if (ROOT / name).is_dir() else f"`{name}`" for name in sorted(names))
        lines.append(f"| {floor} | {rooms} | {what} |")
    return "\n".join(lines)


def rooms() -> list[Path]:
    return sorted({path.parent for path in ROOT.rglob("*.py")} - {ROOT})


def listed(room: Path) -> list[str]:
    """The files that a room's docstring lists: a name at the start of a line, perhaps numbered, and what it does."""
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    return re.findall(r"^(?:\d |  )?([a-z][a-z0-9_]*) {2,}\S", docstring, re.MULTILINE)


def test_imports_go_down_only() -> None:
    assert not (wrong := violations(ROOT, FLOORS)), "\n" + "\n".join(wrong)


def test_every_module_stands_on_one_floor() -> None:
    units = {module_name(path, ROOT).split(".")[0] for path in ROOT.rglob("*.py")}
    assert units == set().union(*(names for names, _ in FLOORS))
    assert sum(len(names) for names, _ in FLOORS) == len(units)


def test_the_tree_has_the_imports_that_the_checker_looks_for() -> None:
    edges = list(imports(ROOT))
    assert len(edges) > 200
    assert {edge.imported.split(".")[0] for edge in edges if not edge.first_party} >= {"torch", *CONFINED}
    assert any(str(edge).startswith("training.trainer (line ") and edge.imported == "training.state" for edge in edges)


def test_contributing_shows_the_floors() -> None:
    """`python tests/test_floors.py` prints the table."""
    assert table_of_floors() in (ROOT.parent / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("room", rooms(), ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_lists_its_files(room: Path) -> None:
    files = {path.stem for path in room.glob("*.py")} | {
        path.name for path in room.iterdir() if (path / "__init__.py").exists()
    }
    names = listed(room)
    assert sorted(names) == sorted(files - {"__init__"})


@pytest.mark.parametrize("room", [ROOT, *rooms()], ids=lambda room: str(room.relative_to(ROOT.parent)))
def test_a_room_can_be_taken_in_at_a_glance(room: Path) -> None:
    files = [path for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MAX_FILES
    long = {path.name: lines for path in files if (lines := len(path.read_text().splitlines())) > MAX_LINES}
    assert not long


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        (
            "base/world.py",
            "from dualgnn_dist.training.run import f",
            "base.world (line 1) -> training.run: up, floor 0 to 3",
        ),
        (
            "base/world.py",
            "from dualgnn_dist.training import run",
            "base.world (line 1) -> training.run: up, floor 0 to 3",
        ),
        (
            "data/reader.py",
            "\nimport dualgnn_dist.models.mf",
            "data.reader (line 2) -> models.mf: sideways, floor 1 to 1",
        ),
        ("train.py", "from dualgnn_dist import prepare", "train (line 1) -> prepare: sideways, floor 5 to 5"),
        (
            "training/run.py",
            "def f():\n    from dualgnn_dist.base.errors import x",
            "training.run (line 2) -> base.errors: inside a function",
        ),
        ("training/run.py", "f = lambda: 1\nimport ray.train", "(line 2) -> ray.train: only launch may import ray"),
        (
            "results/text.py",
            "import matplotlib.figure",
            "matplotlib.figure: only results.figures may import matplotlib",
        ),
        ("training/run.py", "from scipy import stats", "-> scipy: only results may import scipy"),
        (
            "evaluation/metrics.py",
            "def f():\n    import pyarrow as pa",
            "-> pyarrow: only base.storage.remote, data, evaluation.representations, results.recommend, results",
        ),
        (
            "launch/tune.py",
            "def f():\n    import optuna\nfrom dualgnn_dist.train import x",
            "launch.tune (line 3) -> train: up",
        ),
        ("extra.py", "from dualgnn_dist.base.errors import x", "extra stands on no floor"),
        ("data/a.py", "from dualgnn_dist.data import reader", "a circle: data.a -> data.reader -> data.a"),
    ],
)
def test_a_wrong_import_is_named(tmp_path: Path, file: str, source: str, message: str) -> None:
    tree = {
        "__init__.py": "__version__ = '1'",
        "base/errors.py": "",
        "models/mf.py": "from dualgnn_dist.base.errors import x",
        "training/run.py": "from dualgnn_dist import __version__\nfrom dualgnn_dist.models import mf",
        "launch/local.py": "import ray\nfrom dualgnn_dist.training.run import run",
        "data/__init__.py": "",
        "data/reader.py": "import pyarrow\nfrom dualgnn_dist.data.a import b",
        "data/a.py": "from dualgnn_dist.base.errors import x",
        "evaluation/metrics.py": "",
        "results/text.py": "",
        "train.py": "def main():\n    from dualgnn_dist.launch.local import run",
        "prepare.py": "",
    }
    root = tmp_path / PACKAGE
    for name, text in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert violations(root, FLOORS) == []
    (root / file).write_text(source)
    (wrong,) = violations(root, FLOORS)
    assert message in wrong


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    (tmp_path / "strict.py").write_text("from . import trainer")
    with pytest.raises(AssertionError, match="relative import; write `from dualgnn_dist"):
        violations(tmp_path, FLOORS)


if __name__ == "__main__":
    print(table_of_floors())
