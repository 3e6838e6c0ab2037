from __future__ import annotations

import gc

from cli.garbage import keep_collections_short


def test_what_is_loaded_is_not_looked_through_again() -> None:
    before = gc.get_threshold()
    lasting = [object() for _ in range(3)]
    try:
        keep_collections_short()
        assert gc.get_freeze_count() > 10_000
        assert all(lasting is not found for found in gc.get_objects())
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
