from __future__ import annotations

import numpy as np
import pytest

from app.domain.errors import InvalidRequest
from app.domain.options import Keyterm
from app.domain.vocabulary import (
    FIRST_LIFT,
    MAX_LIFT,
    NEXT_LIFT,
    TermTokens,
    TermTree,
    check_keyterms,
    estimate_tokens,
    exceed_limit,
    spellings,
    strongest,
)


def lifts(tree: TermTree, *said: int) -> dict[int, float]:
    found = tree.lifts(said)
    assert found.tokens.dtype == np.int64
    assert found.values.dtype == np.float32
    return dict(zip(found.tokens.tolist(), found.values.tolist(), strict=True))


class TestTree:
    def test_beginnings_are_lifted_wherever_nothing_is_begun(self) -> None:
        tree = TermTree([TermTokens((1, 2, 3)), TermTokens((4,))])
        assert lifts(tree) == lifts(tree, 9, 8) == {1: FIRST_LIFT, 4: FIRST_LIFT}

    def test_what_is_begun_is_led_to_its_end_and_no_further(self) -> None:
        tree = TermTree([TermTokens((1, 2, 3))])
        assert lifts(tree, 9, 1) == {1: FIRST_LIFT, 2: NEXT_LIFT}
        assert lifts(tree, 1, 2) == {1: FIRST_LIFT, 3: NEXT_LIFT}
        assert lifts(tree, 1, 2, 3) == {1: FIRST_LIFT}
        assert lifts(tree, 1, 9) == {1: FIRST_LIFT}

    def test_terms_that_begin_alike_go_on_apart(self) -> None:
        tree = TermTree([TermTokens((1, 2)), TermTokens((1, 3), boost=0.5)])
        assert lifts(tree, 1) == {1: FIRST_LIFT, 2: NEXT_LIFT, 3: 0.5 * NEXT_LIFT}

    def test_a_term_inside_another_is_seen_too(self) -> None:
        tree = TermTree([TermTokens((1, 2, 3)), TermTokens((2, 4))])
        assert lifts(tree, 1, 2) == {1: FIRST_LIFT, 2: FIRST_LIFT, 3: NEXT_LIFT, 4: NEXT_LIFT}

    def test_a_term_that_repeats_itself_can_start_anew(self) -> None:
        tree = TermTree([TermTokens((5, 5, 6))])
        assert lifts(tree, 5, 5, 5) == {5: NEXT_LIFT, 6: NEXT_LIFT}

    def test_only_the_tokens_within_its_depth_count(self) -> None:
        tree = TermTree([TermTokens((1, 2, 3))])
        assert tree.depth == 3
        assert lifts(tree, *range(100, 200), 1, 2) == lifts(tree, 1, 2)

    @pytest.mark.parametrize(("boost", "expected"), [(2.0, 4.0), (0.5, 1.0), (100.0, MAX_LIFT)])
    def test_a_boost_is_a_factor_up_to_the_limit(self, boost: float, expected: float) -> None:
        assert lifts(TermTree([TermTokens((1,), boost)])) == {1: expected}

    def test_a_term_to_avoid_is_pressed_down_only_where_it_would_be_complete(self) -> None:
        tree = TermTree([TermTokens((1, 2), boost=-1.0)])
        assert lifts(tree) == {}
        assert lifts(tree, 1) == {2: -NEXT_LIFT}
        assert lifts(TermTree([TermTokens((1,), boost=-100.0)])) == {1: -MAX_LIFT}

    def test_favour_comes_before_avoidance(self) -> None:
        for terms in ([TermTokens((1,)), TermTokens((1,), -1.0)], [TermTokens((1,), -1.0), TermTokens((1,))]):
            assert lifts(TermTree(terms)) == {1: FIRST_LIFT}

    def test_without_terms_there_is_nothing_to_do(self) -> None:
        tree = TermTree([TermTokens(())])
        assert not tree
        assert lifts(tree, 1, 2) == {}


class TestTerms:
    def test_a_term_may_come_out_in_other_case(self) -> None:
        assert spellings("Nuuk") == ("Nuuk", "nuuk")
        assert spellings("  red   door ") == ("red door", "Red door")
        assert spellings("WhisperAPI") == ("WhisperAPI", "whisperAPI", "whisperapi")
        assert spellings("  ") == ()

    def test_each_term_counts_once_with_its_last_boost(self) -> None:
        terms = [Keyterm("a b"), Keyterm("c"), Keyterm(" a  b ", 3.0), Keyterm(" "), Keyterm("c", 0.0)]
        assert strongest(terms) == (Keyterm("a b", 3.0),)

    def test_tokens_are_estimated_by_words_and_bytes(self) -> None:
        assert estimate_tokens("a bc def") == 3
        assert estimate_tokens("Mississippi") == 3
        assert estimate_tokens("日本") == 2
        assert estimate_tokens(" ") == 0

    def test_the_limit_holds_for_all_terms_together(self) -> None:
        assert not exceed_limit(["word"] * 500)
        assert exceed_limit(["word"] * 501)
        check_keyterms(["word"] * 500)
        with pytest.raises(InvalidRequest) as raised:
            check_keyterms(["two words"] * 251)
        assert raised.value.message == "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500."
