"""How kernels are compiled and where their machine code is kept: in small packages, in processes of their own."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest
from numba.core.dispatcher import Dispatcher
from numba.core.event import Event, EventStatus

import dualgnn_dist
from dualgnn_dist.base import kernels
from dualgnn_dist.base.kernels import digest, kernel_sources, remove_older

PACKAGE = Path(dualgnn_dist.__file__).parent
_OF_BASE = ("__init__", "errors", "screen", "kernels", "storage/__init__", "storage/files", "storage/space")
NEEDED = ("__init__.py", *(f"base/{name}.py" for name in _OF_BASE))

FACTOR = """
from dualgnn_dist.base.kernels import kernel
FACTOR = 10
@kernel
def scale(x):
    return x * FACTOR
"""
SUM = """
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.factor import scale
@kernel
def scaled_sum(a, b):
    return scale(a) + scale(b)
"""
RUN = """
from dualgnn_dist.base.kernels import seconds_compiling
from dualgnn_dist.base.sum import scaled_sum
print(scaled_sum(1, 2), seconds_compiling() > 0)
"""


class Copy:
    """A copy of what the decorator needs, with two modules of kernels, and a cache of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.package, self.cache = root, root / "code" / PACKAGE.name, root / "cache"
        for name in NEEDED:
            (self.package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PACKAGE / name, self.package / name)
        (self.package / "base/factor.py").write_text(FACTOR)
        (self.package / "base/sum.py").write_text(SUM)

    def start(self, program: str = RUN, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(self.package.parent), "DUALGNN_CACHE": str(self.cache), **environment},
            cwd=self.root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, program: str = RUN, **environment: str) -> tuple[str, str]:
        """Standard output and error of a program that sees the copy alone."""
        process = self.start(program, **environment)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return out.strip(), errors.strip()

    def files(self) -> list[Path]:
        return [path for path in self.cache.rglob("*") if path.is_file()]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def modules() -> Iterator[types.ModuleType]:
    for found in pkgutil.walk_packages([str(PACKAGE)], f"{PACKAGE.name}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_all_kernels_of_the_package_are_kept_by_their_sources() -> None:
    """And stay Numba's own dispatchers, which another kernel can call: nothing stands between at the call."""
    dispatchers = {
        id(value): value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, Dispatcher) and value.py_func.__module__.startswith(f"{PACKAGE.name}.")
    }
    sources = kernel_sources(PACKAGE)
    assert len(dispatchers) > 80
    for dispatcher in dispatchers.values():
        module = sys.modules[dispatcher.py_func.__module__]
        is_inline = dispatcher.targetoptions.get("inline") == "always"
        assert dispatcher.targetoptions["nogil"]
        assert is_inline or Path(dispatcher._cache.cache_path).parent == kernels.cache_folder()
        assert module.__name__.removeprefix(f"{PACKAGE.name}.") in sources
        for name in dispatcher.py_func.__code__.co_names:  # whatever it calls lies in a source that counts too
            taken = getattr(vars(module).get(name), "py_func", vars(module).get(name))
            origin = getattr(taken, "__module__", None) or getattr(taken, "__name__", "")
            if str(origin).startswith(f"{PACKAGE.name}."):
                assert origin.removeprefix(f"{PACKAGE.name}.") in sources, (dispatcher, name)


def test_no_kernel_is_compiled_past_the_decorators() -> None:
    users = [path for path in PACKAGE.rglob("*.py") if re.search(r"\b(njit|jit|vectorize)\b", path.read_text())]
    assert users == [PACKAGE / "base/kernels.py"]


TREE = {
    "__init__.py": "",
    "a.py": "from m.base.kernels import kernel\nfrom m.b import (\n    CONSTANT,\n)\n\n@kernel\ndef f(): ...\n",
    "b.py": "from m import c\nCONSTANT = 1\n",
    "c.py": "import m.d\n",
    "d.py": "import os\n",
    "base/__init__.py": "",
    "base/kernels.py": "import numba\n",
    "alone.py": "from m.b import CONSTANT\nfrom m.base.kernels import seconds\n\n@other\ndef f(): ...\n",
    "late.py": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_text(text)
    return tmp_path / "m"


def test_the_sources_of_kernels_are_found_through_all_imports(tree: Path) -> None:
    assert set(kernel_sources(tree)) == {"a", "b", "c", "d", "base.kernels"}


@pytest.mark.parametrize("file", sorted(TREE))
def test_the_digest_is_of_the_sources_that_kernels_are_made_from(tree: Path, file: str) -> None:
    before = digest(tree)
    assert digest(tree) == before and re.fullmatch("[0-9a-f]{16}", before)
    with (tree / file).open("a") as source:
        source.write("# another\n")
    assert (digest(tree) != before) == (file in ("a.py", "b.py", "c.py", "d.py", "base/kernels.py"))


@pytest.mark.parametrize("library", ["numba", "llvmlite"])
def test_the_digest_is_of_the_compiler_too(tree: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before = digest(tree)
    monkeypatch.setattr(f"{library}.__version__", "another")
    assert digest(tree) != before


def test_a_digest_does_not_depend_on_the_place_of_the_package(tree: Path, tmp_path: Path) -> None:
    assert digest(shutil.copytree(tree, tmp_path / "elsewhere" / "m")) == digest(tree)


def test_a_kernel_follows_the_source_of_the_kernel_that_it_calls(copy: Copy) -> None:
    assert copy.run() == ("30 True", "compiling kernels, once: about 30 s")
    assert copy.run() == ("30 False", "")
    (copy.package / "base/factor.py").write_text(FACTOR.replace("FACTOR = 10", "FACTOR = 11"))
    assert copy.run()[0] == "33 True"
    (copy.package / "base/factor.py").write_text(FACTOR)
    assert copy.run() == ("30 False", "")  # the older kernels are still there


def test_a_copy_of_the_package_elsewhere_uses_the_same_kernels(copy: Copy, tmp_path: Path) -> None:
    copy.run()
    moved = Copy(tmp_path / "elsewhere")
    assert moved.run(DUALGNN_CACHE=str(copy.cache)) == ("30 False", "")


def test_what_was_not_needed_before_is_compiled_with_another_word(copy: Copy) -> None:
    copy.run()
    assert copy.run(RUN.replace("(1, 2)", "(1.0, 2)")) == ("30.0 True", "compiling more kernels, once")


def test_nothing_is_written_but_below_the_cache(copy: Copy) -> None:
    before = set(copy.package.rglob("*"))
    copy.run(HOME=str(copy.root / "home"), PYTHONDONTWRITEBYTECODE="1")
    assert set(copy.package.rglob("*")) == before and not (copy.root / "home").exists()
    assert {path.suffix for path in copy.files()} == {".nbi", ".nbc"}
    (folder,) = (copy.cache / "kernels").iterdir()
    assert {path.name for path in folder.iterdir()} == {"dualgnn_dist.base.factor", "dualgnn_dist.base.sum"}


@pytest.mark.parametrize("place", ["/dev/null/cache", ""])
def test_where_nothing_can_be_written_kernels_are_compiled_in_memory(copy: Copy, place: str) -> None:
    for _ in range(2):
        out, errors = copy.run(DUALGNN_CACHE=place, HOME="/dev/null")
        assert out == "30 True"
        assert re.fullmatch(
            r"compiling kernels, at every start: about 30 s \(/dev/null/\S+/kernels/\w{16} cannot be written: "
            r"Not a directory; choose another place with DUALGNN_CACHE=FOLDER\)",
            errors,
        )


def test_a_user_without_a_home_compiles_in_memory(copy: Copy) -> None:
    program = "import os.path\nos.path.expanduser = lambda path: path\n" + RUN  # as where there is no entry and no HOME
    assert copy.run(program, DUALGNN_CACHE="") == (
        "30 True",
        "compiling kernels, at every start: about 30 s (no home folder to keep them in; set DUALGNN_CACHE=FOLDER)",
    )


def test_help_works_where_nothing_can_be_written() -> None:
    nowhere = {"DUALGNN_CACHE": "/dev/null/cache", "HOME": "/dev/null", "PYTHONPATH": str(PACKAGE.parent)}
    ended = subprocess.run(
        [sys.executable, "-m", "dualgnn_dist", "--help"],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0 and "train" in ended.stdout, ended.stderr


def test_kernels_that_cannot_be_kept_any_more_cost_a_line_not_the_run(copy: Copy) -> None:
    full = """
from numba.core.caching import IndexDataCacheFile
def save(self, key, data):
    raise OSError(28, "No space left on device")
IndexDataCacheFile.save = save
"""
    out, errors = copy.run(full + RUN)
    assert out == "30 True"
    first, second = errors.splitlines()
    assert first.startswith("compiling kernels") and second.startswith("compiled kernels are not kept: ")
    assert "No space left on device; choose another place with DUALGNN_CACHE=FOLDER" in second


def test_a_damaged_file_is_compiled_anew(copy: Copy) -> None:
    copy.run()
    for path in copy.files():
        path.write_bytes(path.read_bytes()[:10])
    out, errors = copy.run()
    assert out == "30 True" and re.match(r"kernels kept in \S+ are damaged, compiling them anew: ", errors)
    assert copy.run() == ("30 False", "")


def test_processes_that_compile_at_the_same_time_do_not_disturb_one_another(copy: Copy) -> None:
    processes = [copy.start() for _ in range(3)]
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0 and out.split()[0] == "30", errors
    assert copy.run() == ("30 False", "")
    assert {path.suffix for path in copy.files()} == {".nbi", ".nbc"}


def test_the_users_own_kernels_and_numbas_settings_are_left_alone(copy: Copy) -> None:
    (copy.root / "code" / "theirs.py").write_text(
        "import numba\n@numba.njit(cache=True)\ndef theirs(x):\n    return x + 1\n"
    )
    program = """
import numba
before = numba.config.CACHE_DIR, numba.config.CACHE_LOCATOR_CLASSES
from dualgnn_dist.base.kernels import seconds_compiling
from dualgnn_dist.base.sum import scaled_sum
from theirs import theirs
assert (numba.config.CACHE_DIR, numba.config.CACHE_LOCATOR_CLASSES) == before
print(theirs(1), seconds_compiling(), numba.config.CACHE_DIR)
"""
    place = copy.root / "theirs"
    assert copy.run(program, NUMBA_CACHE_DIR=str(place)) == (f"2 0.0 {place}", "")
    assert [path for path in place.rglob("*.nbi") if path.name.startswith("theirs.theirs")] and not copy.files()


def test_numba_can_still_be_told_not_to_compile(copy: Copy) -> None:
    assert copy.run(NUMBA_DISABLE_JIT="1") == ("30 False", "")


def test_only_older_kernels_are_removed_and_the_newest_stay(tmp_path: Path) -> None:
    names = [f"{age:016x}" for age in range(12)]
    for age, name in enumerate(names):
        (tmp_path / name / "module").mkdir(parents=True)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / "target").mkdir()
    for name in ("notes", "0" * 15, "A" * 16):
        (tmp_path / name).mkdir()
    (tmp_path / ("b" * 16)).write_text("a file")
    (tmp_path / ("c" * 16)).symlink_to(tmp_path / "target")
    others = {"notes", "target", "0" * 15, "A" * 16, "b" * 16, "c" * 16}
    remove_older(tmp_path / names[11])  # the oldest, but the one in use
    assert {path.name for path in tmp_path.iterdir()} == {*names[:8], names[11], *others}
    remove_older(tmp_path / "missing" / names[0])


def test_a_kernel_that_compiles_others_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, lines = [100.0], []
    monkeypatch.setattr(kernels.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(kernels, "say_aside", lines.append)
    compiling = kernels._Compiling()

    def happens(status: EventStatus, function: object, seconds: float) -> None:
        now[0] += seconds
        compiling.notify(Event("numba:compile", status, {"dispatcher": types.SimpleNamespace(py_func=function)}))

    ours, theirs = kernel_sources, shutil.copy
    happens(EventStatus.START, theirs, 1)
    assert compiling.seconds() == 0 and lines == []
    happens(EventStatus.START, ours, 2)
    happens(EventStatus.START, ours, 4)
    happens(EventStatus.END, ours, 8)
    now[0] += 16
    assert compiling.seconds() == 4 + 8 + 16  # it still goes on
    happens(EventStatus.END, ours, 0)
    happens(EventStatus.END, theirs, 32)
    assert compiling.seconds() == 4 + 8 + 16 and len(lines) == 1
    assert isinstance(numba.config.CACHE_DIR, str)
