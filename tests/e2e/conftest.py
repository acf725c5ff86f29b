"""What a user has: a config file, a shell, and eyes on the output. Helpers that start programs and end them."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from dualgnn_dist import train
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare

TINY: dict[str, Any] = {
    "prepare": {
        "format": "synthetic",
        "split": "random",
        "options": {
            "num_users": 400,
            "num_items": 200,
            "num_interactions": 8000,
            "visual_dimension": 8,
            "acoustic_dimension": 8,
            "vocabulary_size": 50,
        },
    },
    "data": {"store": "replaced"},
    "model": {"name": "dualgnn", "width": 8},
    "sampler": {"batch_size": 512, "fanouts": [5, 3], "co_users": 2},
    "optimizer": {"learning_rate": 0.003},
    "train": {"epochs": 3, "eval_every": 1, "patience": None},
    "resources": {"num_workers": 0},
    "run": {"name": "tiny", "output": "replaced"},
}

_MARK = "DUALGNN_TEST_PROGRAM"  # in the environment of a program and of all that descends from it


class Program:
    """`python -m <module> <arguments>` in a session of its own, with every process that descends from it in view.

    Descendants carry a mark in their environment, so that those whose parents are gone are found too.
    """

    def __init__(self, module: str, arguments: Sequence[str], folder: Path) -> None:
        self._mark = uuid.uuid4().hex
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, _MARK: self._mark, "COLUMNS": "120"},
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line.rstrip("\n")))

    def wait(self, seconds: float = 300) -> int:
        """The exit code, once the output is read to its end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s:\n{self.output}")
        for reader in self._readers:
            reader.join(5)
        return code

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
        """Waits until `condition()` holds while the program runs; returns its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if value := condition():
                return value
            time.sleep(0.02)
        pytest.fail(f"never saw {what}:\n{self.output}")

    @property
    def output(self) -> str:
        return "\n".join([*self.lines, "--- standard error", *self.errors])

    @property
    def complaints(self) -> list[str]:
        """Standard error without what Ray says where another Ray cluster runs on the same machine."""
        return [line for line in self.errors if line.strip() and not line.startswith("(PlacementGroupCleaner ")]

    def descendants(self) -> list[psutil.Process]:
        """Every live process that was started by this program or by its children; not the program itself."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark and process.pid != self.process.pid:
                    found.append(process)
            except psutil.Error:  # it ended meanwhile, or is none of ours
                continue
        return found

    def kill(self, pid: int) -> None:
        """Kills one process, which must descend from this program."""
        process = next((process for process in self.descendants() if process.pid == pid), None)
        assert process is not None, f"{pid} does not descend from this program"
        process.kill()

    def leftovers(self, seconds: float = 15) -> list[str]:
        """What still runs `seconds` after the program ended: their command lines."""
        deadline = time.monotonic() + seconds
        while (alive := self.descendants()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [" ".join(process.cmdline()) for process in alive if process.is_running()]

    def end(self) -> None:
        """Ends everything of this program."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        for process in self.descendants():
            process.kill()


@dataclass(frozen=True)
class Said:
    """What a verb did: its exit code and its words."""

    code: int
    output: str
    error: str


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that the tiny config makes."""
    path = tmp_path_factory.mktemp("stores") / "tiny"
    return prepare(PrepareConfig(**TINY["prepare"]), path, say=lambda line: None)


@pytest.fixture
def write_config(tmp_path: Path, tiny_store: Path) -> Callable[..., Path]:
    """`write_config({"train.epochs": 2, ..})`: the tiny run as a YAML file, with these values; None deletes a key.

    Runs go to `tmp_path / "runs"`; the store is the shared one.
    """

    def write(changes: Mapping[str, Any] | None = None, name: str = "config.yaml") -> Path:
        values = copy.deepcopy(TINY)
        paths = {"data.store": str(tiny_store), "run.output": str(tmp_path / "runs")}
        for dotted, value in {**paths, **(changes or {})}.items():
            *sections, key = dotted.split(".")
            place = values
            for section in sections:
                place = place.setdefault(section, {})
            if value is None:
                place.pop(key, None)
            else:
                place[key] = value
        path = tmp_path / name
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`call(main, "--config", path, ..)`: a verb in this process, as its command line would run it."""

    def run(main: Callable[..., None], *arguments: Any) -> Said:
        capsys.readouterr()
        code = 0
        try:
            run_program(lambda: main([str(argument) for argument in arguments]))
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def refused(call: Callable[..., Said]) -> Callable[..., str]:
    """`refused(main, ..)`: the one message of a verb that says no with exit code 2, without a traceback."""

    def run(main: Callable[..., None], *arguments: Any) -> str:
        said = call(main, *arguments)
        assert said.code == 2, said
        # Whichever test is the first to need kernels hears that they are compiled.
        error = "".join(line for line in said.error.splitlines(keepends=True) if not line.startswith("compiling "))
        assert error.startswith("error: ") and "Traceback" not in error, said
        return error

    return run


@pytest.fixture
def trained(write_config: Callable[..., Path], call: Callable[..., Said], tmp_path: Path) -> Callable[..., Path]:
    """`trained({..})`: trains the tiny run in this process; returns the run's folder."""

    def run(changes: Mapping[str, Any] | None = None) -> Path:
        changes = dict(changes or {})
        said = call(train.main, "--config", write_config(changes, f"{changes.get('run.name', 'tiny')}.yaml"))
        assert said.code == 0, said
        return tmp_path / "runs" / changes.get("run.name", "tiny")

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """`start(module, arguments, folder)`: a `Program`, ended with all its processes when the test ends."""
    programs: list[Program] = []

    def run(module: str, arguments: Sequence[Any], folder: Path) -> Program:
        programs.append(Program(module, [str(argument) for argument in arguments], folder))
        return programs[-1]

    yield run
    for program in programs:
        program.end()
    assert not [process for program in programs for process in program.leftovers()]
