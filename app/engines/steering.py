"""What this project changes in the library's choice of tokens: key terms are lifted, loops are ended."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.options import Keyterm
from app.engines.logits_hook import LogitsHook
from app.engines.loop_stop import NEWEST_TOKENS, LoopStop
from app.engines.term_lifting import TermLifting


class Steering:
    """Steers the decodes of one context. ``token_bytes`` gives the bytes of a text token; ids of text lie below
    ``end_of_text``."""

    def __init__(self, binding: ModuleType, hook: LogitsHook, token_bytes: Callable[[int], bytes], end_of_text: int) -> None:
        self._binding = binding
        self._hook = hook
        self._lifting = TermLifting(token_bytes, end_of_text)
        self._loops = LoopStop(token_bytes, end_of_text)

    def attach(self, parameters: Any, terms: tuple[Keyterm, ...], language: str) -> object | None:
        """Steer a decode with ``parameters``, towards ``terms`` if there are any. Keep what is returned until it is over."""
        loops = self._loops
        tree = self._lifting.tree(terms, language) if terms else None
        if not tree:
            return self._hook.attach(self._binding, parameters, loops.lift, NEWEST_TOKENS)

        def lift(said: list[int], logits: NDArray[np.float32]) -> None:
            lifts = tree.lifts(said)
            logits[lifts.tokens] += lifts.values
            loops.lift(said, logits)

        return self._hook.attach(self._binding, parameters, lift, max(tree.depth, NEWEST_TOKENS))
