"""Where a stream is cut: at each new header, found wherever the messages end."""

from __future__ import annotations

import pytest

from app.audio.live_restart import RestartFinder
from app.audio.sniff import Container
from tests.support.live_media import cut

HEADERS = {
    Container.MATROSKA: b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01",
    Container.MP4: b"\0\0\0\x1cftypiso5\0\0\2\0",
    Container.WAV: b"RIFF\xff\xff\xff\xffWAVEfmt ",
    Container.FLAC: b"fLaC\0\0\0\x22\x10\0",
    Container.OGG: b"OggS\0\2" + bytes(8) + b"abcd" + bytes(4) + b"crc.",
}
BODY = bytes(range(256)) * 3


def parts(container: Container, messages: list[bytes]) -> list[bytes]:
    finder, found = RestartFinder(container), [b""]
    for message in messages:
        for stretch in finder.split(message):
            if stretch.begins:
                found.append(b"")
            found[-1] += stretch.data
    found[-1] += finder.flush()
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 10_000])
@pytest.mark.parametrize("container", HEADERS)
class TestEveryContainer:
    def test_each_new_header_begins_a_part(self, container: Container, size: int) -> None:
        recording = HEADERS[container] + BODY
        found = parts(container, cut(recording * 3, size))
        assert len(found) == 3
        assert found[1].startswith(HEADERS[container])
        assert found[2] == recording

    def test_no_byte_is_lost(self, container: Container, size: int) -> None:
        """The bytes in front of ``ftyp`` may have gone out already: the old part then has them as well."""
        recording = HEADERS[container] + BODY
        found = parts(container, cut(recording + recording, size))
        assert found[0].startswith(recording)
        assert len(found[0]) - len(recording) <= 4

    def test_half_a_header_is_no_header(self, container: Container, size: int) -> None:
        recording = HEADERS[container] + BODY + HEADERS[container][:7]
        assert parts(container, cut(recording, size)) == [recording]

    def test_the_same_letters_elsewhere_are_no_header(self, container: Container, size: int) -> None:
        word = {Container.MP4: b"ftyp"}.get(container, HEADERS[container][:4])
        recording = HEADERS[container] + BODY + word + bytes([0xFE]) * 40
        assert parts(container, cut(recording, size)) == [recording]


def test_bytes_are_passed_on_at_once_unless_they_may_begin_a_header() -> None:
    finder = RestartFinder(Container.MATROSKA)
    assert [stretch.data for stretch in finder.split(b"abc")] == [b"abc"]
    assert [stretch.data for stretch in finder.split(b"abc\x1aE")] == [b"abc"]
    assert [stretch.data for stretch in finder.split(b"xyz")] == [b"\x1aExyz"]


def test_a_first_page_of_ogg_counts_only_behind_sound() -> None:
    stretches = list(RestartFinder(Container.OGG).split((HEADERS[Container.OGG] + BODY) * 2))
    assert [(stretch.begins, stretch.after_sound) for stretch in stretches] == [(False, True), (True, True)]


def test_streams_of_frames_have_no_headers() -> None:
    assert parts(Container.MP3, [BODY, BODY]) == [BODY + BODY]
