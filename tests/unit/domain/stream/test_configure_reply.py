from __future__ import annotations

import pytest

from app.domain.stream.events import Configure, ConfigureFailure, ConfigureReply
from app.domain.stream.machine import StreamMachine
from app.domain.stream.options import StreamOptions

TOO_MANY = ("word",) * 501


@pytest.mark.parametrize(
    ("request_", "takes_keyterms", "failure"),
    [
        (Configure(), True, None),
        (Configure(keyterms=()), True, None),
        (Configure(numerals=False), True, None),
        (Configure(numerals=True), True, None),
        (Configure(keyterms=("Nuuk",)), True, None),
        (Configure(keyterms=TOO_MANY[1:]), True, None),
        (Configure(keyterms=TOO_MANY, numerals=True), True, ConfigureFailure.KEYTERM_LIMIT_EXCEEDED),
        (Configure(keyterms=()), False, None),
        (Configure(keyterms=("Nuuk",)), False, ConfigureFailure.KEYTERMS_NOT_SUPPORTED),
        (Configure(keyterms=("Nuuk",), numerals=True), False, ConfigureFailure.KEYTERMS_NOT_SUPPORTED),
    ],
)
def test_what_cannot_be_honoured_is_refused_and_each_request_has_one_reply(
    request_: Configure, takes_keyterms: bool, failure: ConfigureFailure | None
) -> None:
    machine = StreamMachine(StreamOptions(takes_keyterms=takes_keyterms), 0.0)
    machine.receive(request_, 0.0)
    assert machine.events() == [ConfigureReply(request_, failure)]
