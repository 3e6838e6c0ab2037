from dataclasses import replace

from app.domain.intelligence.sentences import (
    PIECE_BYTES,
    PIECE_SENTENCES,
    SENTENCE_WORDS,
    joined,
    pack,
    pack_texts,
    split_channel,
)
from app.domain.transcript import Channel
from tests.support.transcripts import channel, segment, words


def test_sentences_cover_all_words_once_and_in_order() -> None:
    spoken = channel("Hello world. How are you? Fine")
    found = split_channel(spoken, 2)
    assert [(s.passage.start, s.passage.end, s.passage.text) for s in found] == [
        (0, 2, "Hello world."),
        (2, 5, "How are you?"),
        (5, 6, "Fine"),
    ]
    assert {s.passage.channel_index for s in found} == {2}
    assert found[1].start_s == 1.0


def test_a_change_of_voice_ends_a_sentence() -> None:
    one, two = words("yes no")
    spoken = Channel((segment((replace(one, speaker=0), replace(two, speaker=1))),), "en")
    assert [(s.passage.text, s.speaker) for s in split_channel(spoken, 0)] == [("yes", 0), ("no", 1)]


def test_without_full_stops_sentences_end_all_the_same() -> None:
    found = split_channel(channel("word " * 150), 0)
    assert [s.passage.end - s.passage.start for s in found] == [SENTENCE_WORDS, SENTENCE_WORDS, 30]


def test_languages_without_spaces_are_joined_without() -> None:
    assert split_channel(channel("你 好。", "zh"), 0)[0].passage.text == "你好。"


def test_an_hour_becomes_pieces_that_a_small_model_can_take() -> None:
    spoken = channel("This is one sentence of the hour. " * 1300)
    pieces = pack(split_channel(spoken, 0))
    assert len(pieces) > 7
    assert all(len(piece) <= PIECE_SENTENCES for piece in pieces)
    assert all(sum(len(s.passage.text.encode()) for s in piece) <= PIECE_BYTES for piece in pieces)
    assert [s for piece in pieces for s in piece] == split_channel(spoken, 0)
    assert joined(pieces[1], spoken).start == joined(pieces[0], spoken).end


def test_channels_share_a_piece_only_where_that_is_wanted() -> None:
    sentences = [*split_channel(channel("Yes."), 0), *split_channel(channel("No."), 1)]
    assert len(pack(sentences)) == 2
    assert len(pack(sentences, mixed=True)) == 1


def test_texts_are_packed_until_one_is_left_however_long_they_are() -> None:
    texts = ["x" * (PIECE_BYTES * 2)] * 9
    rounds = 0
    while len(texts) > 1:
        packed = pack_texts(texts)
        assert [text for group in packed for text in group] == texts
        texts = [group[0] for group in packed]
        rounds += 1
    assert rounds == 4
