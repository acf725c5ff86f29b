"""How kernels are compiled: one decorator for all of them, and where their machine code is kept.

Numba keeps what it compiled beside a digest of the one file that holds the kernel, so that a kernel which calls one of
another file goes on with the old callee when only that file changes. Here all of it lies in
`<cache>/kernels/<digest>`, the digest of every source that a kernel can take anything from: another source is another
folder. It does not depend on where the package lies, so that the copies of a job's code share it.

What is kept is machine code: who can write to the folder can run programs as its reader.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pickle
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.screen import say_aside
from dualgnn_dist.base.storage.files import CACHE_VARIABLE, cache_root
from dualgnn_dist.base.storage.removal import remove_own

_SECONDS = 30  # to compile what a store and a training of the demo need, on two cores
_EVERY_TIME = f"compiling kernels, at every start: about {_SECONDS} s"
_NUM_OLDER_KEPT = 8  # so that two versions in use do not compile in turns
_PACKAGE = Path(__file__).parents[1]


def kernel_sources(package: Path) -> dict[str, bytes]:
    """Module -> source of every file that kernels are in or can take a constant or a function from.

    Those with a line `@kernel..` at the margin, and what they import of the package at the margin, however far.
    """
    sources = {_module(path.relative_to(package)): path.read_bytes() for path in package.rglob("*.py")}
    name = re.escape(package.name.encode())
    imports = re.compile(rb"^from %s(?:\.([\w.]+))? import (\([^)]*\)|.*)|^import %s\.([\w.]+)" % (name, name), re.M)
    to_read = [module for module, source in sources.items() if b"\n@kernel" in source]
    needed: dict[str, bytes] = {}
    while to_read:
        module = to_read.pop()
        if module in needed or module not in sources:
            continue
        needed[module] = sources[module]
        for base, names, imported in imports.findall(sources[module]):
            below = [f"{base.decode()}.{name.decode()}".removeprefix(".") for name in re.findall(rb"\w+", names)]
            to_read += [base.decode(), imported.decode(), *below]
    return needed


def digest(package: Path) -> str:
    """16 hexadecimal digits for everything that the package's kernels are compiled from, and for their compiler."""
    content = hashlib.blake2b(f"{numba.__version__} {llvmlite.__version__}".encode(), digest_size=8)
    for module, source in sorted(kernel_sources(package).items()):
        content.update(f"\0{module} {len(source)}\0".encode() + source)
    return content.hexdigest()


@functools.cache
def cache_folder() -> Path | None:
    """Where this process's kernels are kept; None where no folder can be named."""
    try:
        return cache_root() / "kernels" / digest(_PACKAGE)
    except UserError:
        return None


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


class _Locator(UserProvidedCacheLocator):
    """A folder a module. Nothing is made before there is something to keep."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file, self._lineno = file, function.__code__.co_firstlineno
        self._cache_path = str((cache_folder() or Path()) / function.__module__)

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator:
        return cls(function, file)


class _CacheOfResults(CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _KernelCache(FunctionCache):
    """Numba's cache in our folder. Whatever is wrong with it costs compiling, never the run."""

    _impl_class = _CacheOfResults

    def load_overload(self, signature: Any, target: Any) -> Any:
        try:
            return super().load_overload(signature, target)
        except NotADirectoryError:  # there is no folder, nor can there be one
            return None
        except Exception as error:  # a file cut short by a crash raises what pickle pleases
            _compiling.say_once(f"kernels kept in {self.cache_path} are damaged, compiling them anew: {error!r}")
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            super().save_overload(signature, result)
        except (OSError, EOFError, pickle.PickleError) as error:
            _compiling.say_once(f"compiled kernels are not kept: {_why_unwritable(error)}")


class _Compiling(event.Listener):
    """Hears when kernels are compiled, in whichever thread. Numba holds its compiler's lock meanwhile."""

    def __init__(self) -> None:
        self._depth, self._started, self._seconds = 0, 0.0, 0.0  # a kernel that calls others compiles them within
        self._is_announced = self._has_complained = False

    def on_start(self, happened: event.Event) -> None:
        if self._depth == 0 and not happened.data["dispatcher"].py_func.__module__.startswith(f"{_PACKAGE.name}."):
            return  # the user's own
        if self._depth == 0:
            self._announce()
            self._started = time.perf_counter()
        self._depth += 1

    def on_end(self, happened: event.Event) -> None:
        if self._depth == 0:
            return
        self._depth -= 1
        if self._depth == 0:
            self._seconds += time.perf_counter() - self._started

    def is_busy(self) -> bool:
        return self._depth > 0

    def seconds(self) -> float:
        return self._seconds + (time.perf_counter() - self._started if self._depth else 0.0)

    def say_once(self, complaint: str) -> None:
        if not self._has_complained:
            self._has_complained = True
            say_aside(complaint)

    def _announce(self) -> None:
        if self._is_announced:
            return
        self._is_announced = True
        folder = cache_folder()
        if folder is None:
            return self.say_once(f"{_EVERY_TIME} (no home folder to keep them in; set {CACHE_VARIABLE}=FOLDER)")
        is_new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            return self.say_once(f"{_EVERY_TIME} ({_why_unwritable(error)})")
        if not is_new:
            return say_aside("compiling more kernels, once")
        say_aside(f"compiling kernels, once: about {_SECONDS} s")
        remove_older(folder)


def _why_unwritable(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"{cache_folder()} cannot be written: {reason}; choose another place with {CACHE_VARIABLE}=FOLDER"


def remove_older(folder: Path) -> None:
    """Removes the kernels of older sources beside `folder`, but the newest few, and nothing else."""
    with contextlib.suppress(OSError):  # another process removes them too
        others = [
            path
            for path in folder.parent.iterdir()
            if path != folder and re.fullmatch("[0-9a-f]{16}", path.name) and path.is_dir() and not path.is_symlink()
        ]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[_NUM_OLDER_KEPT:]:
            # A process that still needs them compiles anew.
            remove_own(path, lambda name: re.search(r"\.nb[ci](\.|$)", name) is not None)


def _kept(**options: Any) -> Any:
    compiled = numba.njit(nogil=True, **options)

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = compiled(function)
        # Numba has no public way to give one function a cache of its own, and its settings are the user's too.
        if cache_folder() is not None and not numba.config.DISABLE_JIT:
            dispatcher._cache = _KernelCache(function)
        return dispatcher

    return decorate


_compiling = _Compiling()
event.register("numba:compile", _compiling)
heartbeat.also_slow("compiling kernels", _compiling.is_busy)


def seconds_compiling() -> float:
    """How long this process has compiled kernels so far. Loading compiled ones does not count."""
    return _compiling.seconds()


kernel = _kept()
kernel_ieee = _kept(error_model="numpy")  # a division by zero is infinite, not an error
kernel_fast = _kept(error_model="numpy", fastmath={"reassoc", "contract"})  # sums in any order, in vector registers
kernel_inline = numba.njit(nogil=True, inline="always")  # becomes a part of the kernels that call it
