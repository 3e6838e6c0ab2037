from app.domain.text.edits import Edited
from app.domain.text.finders import find
from app.domain.text.finding import Finding
from app.domain.text.forms import bare_text
from app.domain.text.smart_format import smart_edits
from tests.support.transcripts import words


def test_a_span_is_divided_evenly_over_fewer_words() -> None:
    spoken = words("november second twenty twenty two")
    (edit,) = smart_edits(find(spoken, "en"), spoken)
    assert [(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in edit.words] == [
        ("November", 0.0, 0.833),
        ("2,", 0.833, 1.667),
        ("2022", 1.667, 2.5),
    ]


def test_one_word_may_become_two() -> None:
    spoken = words("8pm")
    (edit,) = smart_edits(find(spoken, "en"), spoken)
    assert [(word.text, word.start_s, word.end_s) for word in edit.words] == [("8", 0.0, 0.25), ("PM", 0.25, 0.5)]


def test_punctuation_around_a_finding_stays() -> None:
    spoken = words('He said "twenty five dollars," and left')
    edited = Edited.untouched(spoken).apply(smart_edits(find(spoken, "en"), spoken))
    assert " ".join(word.text for word in edited.words) == 'He said "$25," and left'


def test_the_bare_form_is_the_changed_word_without_the_sentences_marks() -> None:
    spoken = words("It is november second, twenty twenty two.")
    edited = Edited.untouched(spoken).apply(smart_edits(find(spoken, "en"), spoken))
    assert [bare_text(word) for word in edited.words] == ["it", "is", "november", "2", "2022"]


def test_what_is_written_already_is_not_touched() -> None:
    spoken = words("On November 2, 2022, at 8:37 PM, call (555) 123-4567 or mail john@example.com about $15.50.")
    assert smart_edits(find(spoken, "en"), spoken) == []


def test_lone_small_numbers_are_found_and_stay_words() -> None:
    spoken = words("two dogs")
    findings = find(spoken, "en")
    assert findings == (Finding("NUMBER", 0, 1, ("2",)),)
    assert smart_edits(findings, spoken) == []
