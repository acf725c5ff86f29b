"""Breaks valid small inputs of every reader, case after case, and keeps what ends in anything but a refusal.

    python benchmarks/fuzz.py --minutes 60 --target all --seed 1

Cases run in a child process; one that dies, hangs or needs too much memory is a find like an exception, and the next
child goes on behind it. Case k of a seed is always the same. What is broken, and how it is read, stands in
`tests/fuzz_targets.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from dualgnn_dist.base.errors import UserError
from tests.fuzz_targets import TARGETS, damage

FINE = ("read", "refused")
SECONDS_A_CASE = 60
MEMORY = 8 << 30  # of a child; who asks for more has believed a number in a file


def case(target: str, name: str, number: int, seed: int, valid: Path, told: Any, folder: Path) -> tuple[str, str]:
    """One case: (`read`, `refused` or the kind of find, the place or the words)."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(valid, folder)
    choice = random.Random(f"{seed}/{target}/{name}/{number}")
    for _ in range(choice.choice([1, 1, 1, 2])):
        damage(folder, choice, TARGETS[target][name].breaks)
    try:
        TARGETS[target][name].read(folder, told)
    except UserError as error:
        is_greedy = "more memory than there is" in str(error)
        return ("greedy", str(error)) if is_greedy else ("refused", "")
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "dualgnn_dist" in frame.filename]
        last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, f"{Path(last.filename).name}:{last.lineno} {str(error)[:200]}"
    return "read", ""


def child(target: str, name: str, first: int, seed: int, until: float, place: Path, results: Any) -> None:
    """Runs cases from `first` on, and says before each which one it is. A find waits to be kept."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    folder = place / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    told = TARGETS[target][name].write(folder)  # where the cases lie too: some inputs name themselves
    valid = place / "valid"
    shutil.rmtree(valid, ignore_errors=True)
    shutil.copytree(folder, valid)
    number = first
    while time.time() < until:
        results.send((number, None, None))
        outcome = case(target, name, number, seed, valid, told, folder)
        results.send((number, *outcome))
        if outcome[0] not in FINE:
            results.recv()
        number += 1
    results.send(None)


@dataclass
class Outcomes:
    """What the cases of one reader came to."""

    target: str
    name: str
    seed: int
    keep: Path
    counts: Counter[str] = field(default_factory=Counter)
    finds: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, kind: str, words: str, folder: Path) -> None:
        """Counts a case; keeps its input where it is the first find of its kind and place."""
        self.counts[kind] += 1
        key = f"{kind} {words.split(' ')[0]}"
        if kind not in FINE and key not in self.finds:
            self.finds[key] = words
            kept = self.keep / f"{self.target}-{self.name}-{self.seed}-{number}"
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            print(f"find: {kept}: {kind}: {words}", flush=True)

    def follow(self, process: Any, results: Any, number: int, folder: Path) -> int:
        """Counts what a child says until it ends; returns the number of the next case."""
        while True:
            try:
                if not results.poll(SECONDS_A_CASE):
                    process.kill()
                    process.join()
                    self.add(number, "hangs", f"{SECONDS_A_CASE} s", folder)
                    return number + 1
                message = results.recv()
            except EOFError:
                process.join()
                self.add(number, "dies", f"exit code {process.exitcode}", folder)
                return number + 1
            if message is None:
                process.join()
                return number + 1
            number, kind, words = message
            if kind is not None:
                self.add(number, kind, words, folder)
                if kind not in FINE:
                    results.send("kept")


def fuzz(target: str, name: str, seed: int, seconds: float, keep: Path) -> dict[str, Any]:
    """Cases of one reader for so long."""
    outcomes, number, until = Outcomes(target, name, seed, keep), 0, time.time() + seconds
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        while time.time() < until:
            here, there = multiprocessing.Pipe()
            arguments = (target, name, number, seed, until, Path(place), there)
            process = multiprocessing.get_context("spawn").Process(target=child, args=arguments)
            process.start()
            there.close()
            number = outcomes.follow(process, here, number, Path(place) / "case")
    counts = dict(outcomes.counts)
    return {"target": target, "reader": name, "cases": sum(counts.values()), "counts": counts, "finds": outcomes.finds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of all readers together")
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="keeps the inputs that were finds")
    options = parser.parse_args()
    readers = [(target, name) for target in TARGETS for name in TARGETS[target] if options.target in (target, "all")]
    rows = []
    for target, name in readers:
        rows.append(fuzz(target, name, options.seed, options.minutes * 60 / len(readers), options.finds))
        print(f"{target:<10}{name:<12}{rows[-1]['cases']:>8} cases  {rows[-1]['counts']}", flush=True)
    print(json.dumps({"seed": options.seed, "cases": sum(row["cases"] for row in rows), "readers": rows}))
    sys.exit(any(row["finds"] for row in rows))


if __name__ == "__main__":
    main()
