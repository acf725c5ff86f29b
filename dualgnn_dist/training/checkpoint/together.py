"""What every worker does for itself and all must have done: one that is refused is refused on all of them alike."""

from __future__ import annotations

import json
from collections.abc import Callable

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.training.checkpoint.manifest import Damaged


def together(world: World, work: Callable[[], str]) -> list[str]:
    """What `work` returned on each worker, by rank; collective, but for `work` itself.

    A worker that raised alone would leave the others waiting in their next collective.

    Raises:
        UserError: on every worker, as the first one by rank raised it; `Damaged` where that was one.
    """
    text, refusal = "", None
    try:
        text = work()
    except UserError as error:
        refusal = (str(error), isinstance(error, Damaged))
    answers = [json.loads(answer) for answer in world.gather_texts(json.dumps([text, refusal]))]
    for _, refused in answers:
        if refused is not None:
            message, is_damage = refused
            raise (Damaged if is_damage else UserError)(message)
    return [text for text, _ in answers]
