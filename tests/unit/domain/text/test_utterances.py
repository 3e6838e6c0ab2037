from app.domain.text.fillers import without_fillers
from app.domain.text.utterances import split_paragraphs, split_sentences, split_utterances
from tests.support.transcripts import words


def texts(groups: object) -> list[str]:
    return [" ".join(word.text for word in group) for group in groups]  # type: ignore[attr-defined]


def test_utterances_split_only_where_silence_is_longer_than_the_gap() -> None:
    spoken = words("one two | three")
    assert texts(split_utterances(spoken, 0.8)) == ["one two", "three"]
    assert texts(split_utterances(spoken, 1.0)) == ["one two three"]


def test_no_words_make_no_utterances_sentences_or_paragraphs() -> None:
    assert split_utterances((), 0.8) == []
    assert split_sentences(()) == []
    assert split_paragraphs(()) == []


def test_words_after_the_last_full_stop_are_a_sentence_too() -> None:
    assert texts(split_sentences(words("Hello world. How are"))) == ["Hello world.", "How are"]


def test_a_long_pause_after_a_sentence_starts_a_paragraph() -> None:
    spoken = words("One. | | Two. | Three.")
    assert [texts(paragraph.sentences) for paragraph in split_paragraphs(spoken)] == [["One."], ["Two.", "Three."]]


def test_a_long_pause_inside_a_sentence_starts_no_paragraph() -> None:
    assert len(split_paragraphs(words("One | | | two."))) == 1


def test_five_sentences_fill_a_paragraph() -> None:
    groups = split_paragraphs(words("A. B. C. D. E. F."))
    assert [len(group.sentences) for group in groups] == [5, 1]


def test_fillers_leave_their_capital_and_their_full_stop_to_their_neighbours() -> None:
    kept = without_fillers(words("Uh my name is, um. Call uh me. Um"))
    assert [word.text for word in kept] == ["My", "name", "is.", "Call", "me."]


def test_times_do_not_shift_when_fillers_leave() -> None:
    kept = without_fillers(words("um hello"))
    assert [(word.start_s, word.end_s) for word in kept] == [(0.5, 1.0)]


def test_words_that_only_contain_a_filler_stay() -> None:
    assert len(without_fillers(words("umbrella uhm Uh-huh hum"))) == 4
