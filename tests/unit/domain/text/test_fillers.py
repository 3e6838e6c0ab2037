from app.domain.text.edits import Edited
from app.domain.text.fillers import filler_edits
from app.domain.transcript import Word
from tests.support.transcripts import words


def without_fillers(text: str) -> tuple[Word, ...]:
    spoken = words(text)
    return Edited.untouched(spoken).apply(filler_edits(spoken)).words


def test_fillers_leave_their_capital_and_their_full_stop_to_their_neighbours() -> None:
    kept = without_fillers("Uh my name is, um. Call uh me. Um")
    assert [word.text for word in kept] == ["My", "name", "is.", "Call", "me."]


def test_a_word_can_owe_a_capital_and_a_full_stop_at_once() -> None:
    assert [word.text for word in without_fillers("Um yes, uh. No.")] == ["Yes.", "No."]


def test_times_do_not_shift_when_fillers_leave() -> None:
    assert [(word.start_s, word.end_s) for word in without_fillers("um hello")] == [(0.5, 1.0)]


def test_words_that_only_contain_a_filler_stay() -> None:
    assert len(without_fillers("umbrella uhm Uh-huh hum")) == 4


def test_speech_without_fillers_needs_no_edit() -> None:
    assert filler_edits(words("Hello world.")) == []
    assert without_fillers("um uh.") == ()
