"""Whether the installed engine build can favour key terms."""

from __future__ import annotations

import subprocess
import sys


def favours_terms() -> bool:
    """Imports the engine: call it in a worker, or use ``probe_key_terms``."""
    from app.engines.logits_hook import TokenSpace
    from app.engines.whisper_cpp import find_hook

    return find_hook(TokenSpace(vocabulary=0, longest=0, banned=0)) is not None


def probe_key_terms(timeout_s: float = 30.0) -> bool | None:
    """The same, asked of a subprocess, since loading the engine can end a process; None if it ended badly."""
    program = "from app.engines.logits_probe import favours_terms; print(favours_terms())"
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=timeout_s, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout.strip() == "True"
