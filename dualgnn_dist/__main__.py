"""`dualgnn-dist <verb>`, the same as `python -m dualgnn_dist.<verb>`."""

from __future__ import annotations

import sys

from dualgnn_dist import evaluate, prepare, train
from dualgnn_dist.strict import nearest, run_program

VERBS = {"prepare": prepare.main, "train": train.main, "evaluate": evaluate.main}


def main() -> None:
    """Dispatches to a verb."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        print(f"usage: dualgnn-dist {{{','.join(VERBS)}}} ...\n\neach verb explains itself: dualgnn-dist train --help")
    elif verb in VERBS:
        run_program(lambda: VERBS[verb](sys.argv[2:]))
    else:
        print(f"error: unknown verb {verb!r}{nearest(verb, VERBS)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
