from app.domain.text.edits import Edit, Edited, edges, merged, spread
from tests.support.transcripts import words


def test_of_overlapping_edits_the_first_given_wins() -> None:
    spoken = words("a b c d")
    first, second = Edit(1, 3, words("X")), Edit(2, 4, words("Y"))
    assert [word.text for word in Edited.untouched(spoken).apply([first, second]).words] == ["a", "X", "d"]
    assert [word.text for word in Edited.untouched(spoken).apply([second, first]).words] == ["a", "b", "Y"]


def test_origins_lead_back_through_several_edits() -> None:
    edited = Edited.untouched(words("a b c d")).apply([Edit(0, 2, words("X"))]).apply([Edit(1, 3, words("Y Z"))])
    assert [word.text for word in edited.words] == ["X", "Y", "Z"]
    assert edited.origins == ((0, 2), (2, 4), (2, 4))
    assert edited.span(0, 1) == (0, 1)
    assert edited.span(3, 4) == (1, 3)


def test_deleted_words_went_nowhere() -> None:
    edited = Edited.untouched(words("a b c")).apply([Edit(1, 2, ())])
    assert edited.span(1, 2) is None
    assert edited.span(2, 3) == (1, 2)


def test_a_merged_word_spans_all_and_keeps_the_marks_around_them() -> None:
    word = merged(words('"nine hundred,"'), "900")
    assert (word.text, word.bare, word.start_s, word.end_s) == ('"900,"', "900", 0.0, 1.0)


def test_a_full_stop_is_not_doubled() -> None:
    assert merged(words("ersten."), "1.").text == "1."
    assert [word.text for word in spread(words("a b."), ("x", "St."))] == ["x", "St."]


def test_as_many_words_keep_their_times_and_others_divide_the_span() -> None:
    spoken = words("a | b")
    assert [(word.start_s, word.end_s) for word in spread(spoken, ("x", "y"))] == [(0.0, 0.5), (1.5, 2.0)]
    assert [(word.start_s, word.end_s) for word in spread(spoken, ("x", "y", "z", "w"))] == [
        (0.0, 0.5),
        (0.5, 1.0),
        (1.0, 1.5),
        (1.5, 2.0),
    ]
    assert spread(spoken, ()) == ()


def test_edges_of_a_lone_mark_are_taken_once() -> None:
    assert edges(words('"')) == ("", '"')
