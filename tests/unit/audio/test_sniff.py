from __future__ import annotations

import numpy as np
import pytest

from app.audio.sniff import Container, id3_bytes, sniff
from tests.support import encode
from tests.support.clips import sweeps


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", Container.WAV),
        (b"RF64\xff\xff\xff\xffWAVEds64", Container.WAV),
        (b"RIFX\0\0\0\0WAVEfmt ", Container.WAV),
        (b"RIFF\0\0\0\0AVI LIST", Container.AVI),
        (b"FORM\0\0\0\0AIFFCOMM", Container.AIFF),
        (b"FORM\0\0\0\0AIFCFVER", Container.AIFF),
        (b"fLaC\0\0\0\x22", Container.FLAC),
        (b"OggS\0\x02", Container.OGG),
        (b"#!AMR\n\x3c", Container.AMR),
        (b"#!AMR-WB\n\x44", Container.AMR),
        (b"\0\0\0\x20ftypisom", Container.MP4),
        (b"\0\0\0\x08wide\0\0\0\0mdat", Container.MP4),
        (b"\x1a\x45\xdf\xa3\x01", Container.MATROSKA),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), Container.ASF),
        (b"caff\0\x01\0\0desc", Container.CAF),
        (b".snd\0\0\0\x18", Container.AU),
        (b"FLV\x01\x05", Container.FLV),
        (b"\0\0\x01\xba\x44", Container.MPEG_PS),
        (b"wvpk", Container.WAVPACK),
        (b"MAC \x96\x0f", Container.APE),
        (b"TTA1", Container.TTA),
    ],
)
def test_signatures(head: bytes, container: Container) -> None:
    assert sniff(head) is container


@pytest.mark.parametrize(
    ("container", "codec", "expected"),
    [
        ("mp3", "libmp3lame", Container.MP3),
        ("mp2", "mp2", Container.MP3),
        ("adts", "aac", Container.AAC),
        ("ac3", "ac3", Container.AC3),
        ("mpegts", "aac", Container.MPEG_TS),
    ],
)
@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
def test_streams_without_a_signature_are_known_by_their_frames(
    container: str, codec: str, expected: Container, rate: int
) -> None:
    file = encode.libav(sweeps(rate, seconds=0.5), rate, container, codec)
    at = id3_bytes(file)
    assert sniff(file[at:]) is expected


def test_a_chain_of_frames_must_be_whole() -> None:
    file = encode.libav(sweeps(44_100, seconds=0.5), 44_100, "mp3", "libmp3lame")
    head = file[id3_bytes(file) :]
    assert sniff(head[:2000], search=False) is Container.MP3
    assert sniff(head[:900], search=False) is None


def test_frames_further_on_are_found_only_when_searched_for() -> None:
    head = b"\x11" * 3000 + encode.libav(sweeps(44_100, seconds=0.5), 44_100, "adts", "aac")
    assert sniff(head) is Container.AAC
    assert sniff(head, search=False) is None


def test_frames_behind_thousands_of_marks_that_begin_none_are_found() -> None:
    # Bytes like these took twelve seconds, in which the program did nothing else: each mark was searched for to the end.
    marks = b"\xff\xfb" * 24_000
    assert sniff(marks) is None
    assert sniff(marks + encode.libav(sweeps(44_100, seconds=0.5), 44_100, "ac3", "ac3")) is Container.AC3


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * 4000,
        b"\xff" * 4000,  # mu-law silence
        b"\x47\0" * 2000,  # constant 16-bit samples
        b"hello world, this is text" * 100,
        b"RIFF\0\0\0\0ACON",
        b"\0\0\0\x03ftyp",
        np.random.default_rng(3).bytes(60_000),
    ],
)
def test_anything_else_is_nothing(head: bytes) -> None:
    assert sniff(head) is None


def test_length_of_a_tag() -> None:
    assert id3_bytes(b"ID3\x04\0\0\0\0\x02\x01" + bytes(300)) == 10 + 257
    assert id3_bytes(b"ID3\x04\0\x10\0\0\x02\x01" + bytes(300)) == 20 + 257  # with a footer
    assert id3_bytes(b"ID3\x04\0\0\0\0\xff\x01" + bytes(300)) == 0  # no length has its high bit set
    assert id3_bytes(b"fLaC") == 0
