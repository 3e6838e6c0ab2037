"""One Realtime transcription session: its settings, its buffer, its items. Client events and stream events in, texts out.

A *turn* is what becomes an item: with turn detection from the start of speech to the silence after it, else everything
between two commits. Turns that the client has committed or cleared are *owed* until the stream has said all about them; it
tells the end of each by ``from_finalize``.

Settings that the stream depends on are changed by ending it and beginning another: positions go on counting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.dialects.openai_realtime_events import (
    Append,
    Clear,
    ClientEvent,
    Commit,
    Json,
    Update,
    new_id,
    render,
    render_completed,
    render_delta,
    render_error,
    render_failed,
    render_item,
    word_logprobs,
)
from app.dialects.openai_realtime_session import SessionConfig, Shape, render_session
from app.dialects.openai_realtime_update import LOGPROBS, updated
from app.domain.audio import SAMPLE_RATE, samples, seconds
from app.domain.errors import InvalidRequest, SttError
from app.domain.languages import word_space
from app.domain.options import LiveOptions
from app.domain.stream.agreement import same_word
from app.domain.stream.events import CloseStream, Control, Finalize, Metadata, Results, SpeechStarted, StreamEvent
from app.domain.transcript import Word

MIN_COMMIT_S = 0.1
"""Audio that a commit needs at least, as at OpenAI."""

MARKS = ".,?!…;:。，、？！"  # noqa: RUF001 - Chinese has its own
"""Not told at the very end of what was heard so far: there every reading ends in one, wherever the sentence does."""

LAG_SAMPLES = samples(0.01)
"""How far what the stream has heard may be behind what was received: a resampler keeps the last 2 to 4 ms."""


@dataclass(slots=True)
class _Turn:
    """``end`` is set once the client has committed or cleared it. Positions in samples."""

    start: int
    item_id: str = field(default_factory=lambda: new_id("item"))
    end: int | None = None
    is_cleared: bool = False
    text: str = ""
    logprobs: list[Json] = field(default_factory=list)
    told: tuple[Word, ...] = ()
    """Words of the open segment that were sent: they cannot be taken back."""
    has_told: bool = False
    was_announced: bool = False
    """Its start was told, as that of every turn whose end the server decides."""
    heard_speech: bool = False
    was_decoded: bool = False
    was_lost: bool = False


class Conversation:
    """``check`` says which model would serve these options; it raises ``SttError`` if none can."""

    def __init__(
        self, config: SessionConfig, shape: Shape, check: Callable[[LiveOptions], str], *, by_intent: bool = True
    ) -> None:
        self.options = config.live_options()
        """What the stream is to do, from the next one on."""
        self.is_restarting = False
        """The stream that runs was told to end, and another is to follow."""
        self._config = config
        self._shape = shape
        self._check = check
        self._served_model = check(self.options)
        self._by_intent = by_intent
        self._session_id = new_id("sess")
        self._detects_turns = config.turn_detection is not None
        self._stream_start = 0
        self._received_s = 0.0
        self._turn: _Turn | None = None
        self._owed: deque[_Turn] = deque()
        self._onsets: list[int] = []
        self._last_end = 0
        self._last_item_id: str | None = None

    # ---- the session ----

    def open(self) -> list[str]:
        """The first events."""
        is_named_by_beta = self._shape is Shape.BETA and self._by_intent
        return [self._session_event("transcription_session.created" if is_named_by_beta else "session.created")]

    def begin_stream(self) -> None:
        """A stream with ``options`` begins."""
        self.is_restarting = False
        self._detects_turns = self._config.turn_detection is not None

    def _session_event(self, kind: str) -> str:
        return render(kind, session=render_session(self._config, self._session_id, self._served_model, self._shape))

    # ---- from the client ----

    def take(self, event: ClientEvent) -> tuple[bytes | Control | None, list[str]]:
        """Follow a client's event: what the stream has to be given, and what the client is told at once."""
        action = event.action
        try:
            if isinstance(action, SttError):
                raise action
            if isinstance(action, Append):
                self._received_s += len(action.audio) / self._config.bytes_per_second
                return action.audio or None, []
            if isinstance(action, Update):
                return self._update(action)
            return self._clear() if isinstance(action, Clear) else self._commit(action, event.event_id)
        except SttError as error:
            return None, [render_error(error, event.event_id)]

    def _update(self, update: Update) -> tuple[Control | None, list[str]]:
        config, shape = updated(self._config, update.session, is_beta=update.is_beta)
        options = config.live_options()
        self._served_model = self._check(options)
        self._config, self._shape = config, shape or self._shape
        kind = "transcription_session.updated" if update.is_beta else "session.updated"
        self.is_restarting, self.options = options != self.options, options
        return (CloseStream() if self.is_restarting else None), [self._session_event(kind)]

    def _commit(self, _: Commit, event_id: str | None) -> tuple[Control | None, list[str]]:
        end = samples(self._received_s)
        if end - self._last_end < samples(MIN_COMMIT_S):
            held_ms = max(0, end - self._last_end) * 1000 // SAMPLE_RATE
            message = f"The buffer holds {held_ms} ms of audio; a commit needs at least {round(MIN_COMMIT_S * 1000)} ms."
            return None, [render_error(InvalidRequest(message), event_id, "input_audio_buffer_commit_empty")]
        turn = self._hand_over(end)
        return Finalize(), self._committed(turn)

    def _clear(self) -> tuple[Control | None, list[str]]:
        end = samples(self._received_s)
        told = [render("input_audio_buffer.cleared")]
        if end <= self._last_end:
            return None, told
        self._hand_over(end).is_cleared = True
        return Finalize(), told

    def _hand_over(self, end: int) -> _Turn:
        """The client decides about everything up to ``end``."""
        turn = self._turn or _Turn(self._last_end)
        turn.end = self._last_end = end
        self._turn = None
        self._owed.append(turn)
        return turn

    # ---- from the stream ----

    def render(self, event: StreamEvent) -> list[str]:
        """What the client is told of it; to be called for each event of the stream, in their order."""
        if isinstance(event, Results):
            return self._final(event) if event.is_final else self._interim(event)
        if isinstance(event, SpeechStarted):
            return self._speech(self._stream_start + event.onset_samples)
        if isinstance(event, Metadata):
            self._stream_start += event.duration_samples
        return []

    def _speech(self, onset: int) -> list[str]:
        for owed in self._owed:
            if owed.end is not None and onset < owed.end - LAG_SAMPLES:
                owed.heard_speech = True
                return []
        if self._owed or self._turn is not None:
            self._onsets.append(onset)  # which turn it belongs to depends on where the one that is open ends
            if not self._owed and self._turn is not None:
                self._turn.heard_speech = True
            return []
        return self._begin_turn(onset)

    def _begin_turn(self, onset: int) -> list[str]:
        turns = self.options.stream if self._detects_turns else None
        start = self._last_end if turns is None else max(self._last_end, onset - samples(turns.preroll_s))
        self._turn = _Turn(start, heard_speech=True)
        return [] if turns is None else [_announced(self._turn)]

    def _interim(self, event: Results) -> list[str]:
        told: list[str] = []
        stable = event.words[: event.stable_words]
        if not self._owed and self._turn is None and stable:
            told += self._begin_turn(self._stream_start + samples(stable[0].start_s))
        turn = self._owed[0] if self._owed else self._turn
        if turn is not None and len(stable) > len(turn.told):
            if len(stable) == len(event.words):
                stable = (*stable[:-1], replace(stable[-1], text=stable[-1].text.rstrip(MARKS) or stable[-1].text))
            told += self._delta(turn, "", stable[len(turn.told) :], event.language)
            turn.told = stable
        return told

    def _final(self, event: Results) -> list[str]:
        told: list[str] = []
        if not self._owed and self._turn is None and event.words:
            told += self._begin_turn(self._stream_start + samples(event.words[0].start_s))
        turn = self._owed[0] if self._owed else self._turn
        end = self._stream_start + event.end_samples
        if turn is not None:
            told += self._delta(turn, *_untold(event.words, turn.told), event.language)
            _add_final(turn, event)
        if event.from_finalize and self._owed:
            told += self._complete(self._owed.popleft())
        elif event.speech_final and self._detects_turns and turn is not None and not self._owed:
            turn.end = self._last_end = end
            self._turn = None
            if not turn.was_announced:  # it began while the client was to commit it
                told.append(_announced(turn))
            stopped_ms = round(seconds(end) * 1000)
            told.append(render("input_audio_buffer.speech_stopped", audio_end_ms=stopped_ms, item_id=turn.item_id))
            told += [*self._committed(turn), *self._complete(turn)]
        return told + self._next_speech(end)

    def _next_speech(self, end: int) -> list[str]:
        """Everything before ``end`` is settled: speech that began later may now have a turn of its own."""
        self._onsets = [onset for onset in self._onsets if onset >= end]
        if self._owed or self._turn is not None or not self._onsets:
            return []
        return self._begin_turn(self._onsets.pop(0))

    def _committed(self, turn: _Turn) -> list[str]:
        previous, self._last_item_id = self._last_item_id, turn.item_id
        committed = render("input_audio_buffer.committed", previous_item_id=previous, item_id=turn.item_id)
        return [committed, *render_item(turn.item_id, previous, self._shape)]

    def _complete(self, turn: _Turn) -> list[str]:
        if turn.is_cleared:
            return []
        if turn.was_lost or (turn.heard_speech and not turn.was_decoded):
            return [render_failed(turn.item_id)]
        length_s = seconds(max(0, (turn.end or 0) - turn.start))
        return [render_completed(turn.item_id, turn.text, length_s, turn.logprobs if self._wants_logprobs else None)]

    def _delta(self, turn: _Turn, mark: str, words: tuple[Word, ...], language: str | None) -> list[str]:
        """More of the turn's text: ``mark`` belongs to the word told last."""
        if turn.is_cleared or not (mark or words):
            return []
        space = word_space(language or "en")
        text = mark + (space if turn.has_told and words else "") + space.join(word.text for word in words)
        turn.has_told = True
        return [render_delta(turn.item_id, text, word_logprobs(words, space) if self._wants_logprobs else None)]

    @property
    def _wants_logprobs(self) -> bool:
        return LOGPROBS in self._config.include


def _announced(turn: _Turn) -> str:
    turn.was_announced = True
    started_ms = round(seconds(turn.start) * 1000)
    return render("input_audio_buffer.speech_started", audio_start_ms=started_ms, item_id=turn.item_id)


def _add_final(turn: _Turn, event: Results) -> None:
    space = word_space(event.language or "en")
    said = space.join(word.text for word in event.words)
    turn.text += (space if turn.text and said else "") + said
    turn.logprobs += word_logprobs(event.words, space)
    turn.was_decoded = turn.was_decoded or event.language is not None
    turn.was_lost = turn.was_lost or event.is_lost
    turn.told = ()


def _untold(words: tuple[Word, ...], told: tuple[Word, ...]) -> tuple[str, tuple[Word, ...]]:
    """The mark behind the word told last, and the words after it. Where the final reads otherwise, times say what comes."""
    count = len(told)
    if count == 0:
        return "", words
    if len(words) < count or not all(map(same_word, words, told)):
        return "", tuple(word for word in words if (word.start_s + word.end_s) / 2 > told[-1].end_s)
    last = words[count - 1].text
    return last[len(told[-1].text) :] if last.startswith(told[-1].text) else "", words[count:]
