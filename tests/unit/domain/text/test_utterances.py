from dataclasses import replace

from app.domain.text.utterances import speaker_of, split_paragraphs, split_sentences, split_utterances
from app.domain.transcript import Word
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


def said_by(text: str, *speakers: int | None) -> tuple[Word, ...]:
    spoken = words(text)
    return tuple(replace(word, speaker=speaker) for word, speaker in zip(spoken, speakers, strict=True))


def test_another_speaker_starts_an_utterance_a_sentence_and_a_paragraph() -> None:
    spoken = said_by("so I yes. right", 0, 0, 1, 1)
    assert texts(split_utterances(spoken, 10.0)) == ["so I", "yes. right"]
    assert texts(split_sentences(spoken)) == ["so I", "yes.", "right"]
    assert [paragraph.speaker for paragraph in split_paragraphs(spoken)] == [0, 1]


def test_a_word_of_unknown_speaker_goes_with_its_neighbour() -> None:
    spoken = said_by("so I said yes", None, 0, None, 0)
    assert len(split_utterances(spoken, 10.0)) == 1
    assert speaker_of(spoken) == 0
    assert speaker_of(words("nobody knows")) is None


def test_a_line_break_after_the_mark_ends_a_sentence_too() -> None:
    first, second = words("Hello. World")
    assert len(split_sentences([replace(first, text="Hello.\n"), second])) == 2
