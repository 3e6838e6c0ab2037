from __future__ import annotations

import pytest

from app.domain.stream.events import Configure, ConfigureFailure, ConfigureReply
from app.domain.stream.machine import StreamMachine
from app.domain.stream.options import StreamOptions


@pytest.mark.parametrize(
    ("request_", "failure"),
    [
        (Configure(), None),
        (Configure(keyterms=()), None),
        (Configure(numerals=False), None),
        (Configure(keyterms=("Nuuk",)), ConfigureFailure.KEYTERMS_NOT_SUPPORTED),
        (Configure(keyterms=("Nuuk",), numerals=True), ConfigureFailure.KEYTERMS_NOT_SUPPORTED),
        (Configure(numerals=True), None),
    ],
)
def test_what_cannot_be_honoured_is_refused_and_each_request_has_one_reply(
    request_: Configure, failure: ConfigureFailure | None
) -> None:
    machine = StreamMachine(StreamOptions(), 0.0)
    machine.receive(request_, 0.0)
    assert machine.events() == [ConfigureReply(request_, failure)]
