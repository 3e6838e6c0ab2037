"""The engine over whisper.cpp: the only importer of its binding. One context, one worker, one decode at a time."""

from __future__ import annotations

import atexit
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from app.domain.audio import SAMPLE_RATE, Pcm16k, seconds
from app.domain.errors import EngineFailed, Unavailable, UnsupportedModel
from app.domain.guards import Doubt, cut_loops, drop_hopeless, find_doubts
from app.domain.languages import word_space
from app.domain.options import DecodeOptions, Keyterm
from app.domain.ports import Aborted, EngineCapabilities
from app.domain.transcript import Hypothesis, LanguageGuess, Segment
from app.engines.audio_ctx import FLASH_STEP_FRAMES, FRAMES_PER_SECOND, FULL_CONTEXT, STEP_FRAMES, fitted_frames
from app.engines.ggml_file import weights_problem
from app.engines.logits_hook import LogitsHook, TokenSpace
from app.engines.silence_probe import SilenceProbe
from app.engines.steering import Steering
from app.engines.tokens import Token, TokenSegment, build_segments

# Waiting OpenMP threads must not spin for long; the library reads this once, while it is loaded. See workers.THREAD_WAITING.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
import _pywhispercpp as binding

log = logging.getLogger("whisperapi.engine")

MIN_SAMPLES = SAMPLE_RATE
"""Whisper does badly on less than a second: shorter audio is padded with silence, and times stay inside the real audio."""

MAX_INITIAL_TIMESTAMP_S = 30.0
"""whisper.cpp's own 1.0 lets no first segment start later than a second in, however late the speech."""

SURE_LANGUAGE = 0.9
"""A guess below this from a fitted context is made again with the full one, since the wrong language spoils every word.
Of 64 clips and sentences (en, es, fr, de) both got all right, never below 0.98 (self-test model, 2026-11-20)."""

TEMPERATURE_STEP = 0.2
MOST_TOKENS_PER_S = 40
MOST_TOKENS_BESIDES = 16
"""A decoder that goes on and on (``loop_stop`` ends one that repeats itself) is stopped after as many tokens as the fastest
speech in the most verbose script needs. whisper.cpp's
own limit is 220 a window, 0.9 s at base dimensions: longer than all else that an interim of a second costs. Reaching a limit
costs no words: the library goes on behind the last timestamp."""

MAX_DECODERS = 8  # whisper.cpp's limit on beams and on best_of; more makes it fail
ENGLISH_ONLY = ("en",)

_LOOPS = {Doubt.REPEATS, Doubt.COMPRESSION}
"""Doubts that lifted terms may have caused: the second decode does without them."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """How one call into the library differs from the other try at the same audio."""

    frames: int
    prompt: str
    fallback: bool
    terms: tuple[Keyterm, ...] = ()
    most_tokens: int = 0


class WhisperCppEngine:
    """Fulfils ``ports.Engine``. Never call it from two threads; call ``load`` to make one.

    ``threads`` are those of the next call, and may be set between calls.
    """

    capabilities: EngineCapabilities

    def __init__(self, context: binding.whisper_context, threads: int, *, flash_attention: bool = False) -> None:
        self.threads = threads
        self._context = context
        self._step_frames = FLASH_STEP_FRAMES if flash_attention else STEP_FRAMES
        self._end_of_text: int = binding.whisper_token_eot(context)
        self._prompt_limit: int = binding.whisper_model_n_text_ctx(context) // 2
        multilingual = bool(binding.whisper_is_multilingual(context))
        languages = _languages(binding.whisper_model_n_vocab(context)) if multilingual else ENGLISH_ONLY
        self._steering = self._find_steering()
        self._silence = SilenceProbe.find(binding, context)
        self.capabilities = EngineCapabilities(
            languages,
            multilingual,
            translates=multilingual,
            favours_terms=self._steering is not None,
            context_step_s=self._step_frames / FRAMES_PER_SECOND,
        )

    def _find_steering(self) -> Steering | None:
        context = self._context
        space = TokenSpace(
            vocabulary=binding.whisper_model_n_vocab(context),
            longest=binding.whisper_model_n_text_ctx(context),
            banned=binding.whisper_token_not(context),
        )
        hook = find_hook(space)
        token_bytes = partial(binding.whisper_token_to_bytes, context)
        return None if hook is None else Steering(binding, hook, token_bytes, self._end_of_text)

    @classmethod
    def load(cls, path: Path, threads: int, *, use_gpu: bool = False, flash_attention: bool = False) -> WhisperCppEngine:
        """Load weights (one copy in memory) and the buffers of one decode. Raises ``Unavailable`` with a sentence."""
        if problem := weights_problem(path):
            raise Unavailable(problem)
        _route_log()
        parameters = binding.whisper_context_default_params()
        parameters.use_gpu = use_gpu
        parameters.flash_attn = flash_attention
        _errors.clear()
        context = binding.whisper_init_from_file_with_params(str(path), parameters)
        if _errors:  # the binding wraps a null pointer rather than failing; touching it would crash
            raise Unavailable("The engine could not load the model's weights.")
        return cls(context, threads, flash_attention=flash_attention)

    def transcribe(self, pcm: Pcm16k, options: DecodeOptions, should_abort: Callable[[], bool]) -> Hypothesis:
        """One window. A result that looks wrong is decoded again with the whole context and no prompt.

        Raises ``Aborted``, ``EngineFailed``, or ``UnsupportedModel`` for a language the model does not know.
        """
        started = time.perf_counter()
        self._check_languages(options)
        duration_s = seconds(pcm.size)
        samples = _padded(pcm)
        language = options.language or self._detect(samples, options.languages, options.fit_context)[0].language
        frames = self._fitted_frames(samples) if options.fit_context else FULL_CONTEXT
        complete = frames == FULL_CONTEXT
        most_tokens = MOST_TOKENS_BESIDES + math.ceil(MOST_TOKENS_PER_S * duration_s)
        fallback = complete and options.temperature_fallback
        attempt = _Pass(frames, options.prompt, fallback, options.keyterms, most_tokens)
        segments = self._decode(samples, duration_s, language, options, attempt, should_abort)
        retries = 0
        if doubts := find_doubts(segments, duration_s, options.prompt):
            terms = () if _LOOPS & set(doubts) else options.keyterms
            if not complete or options.prompt or terms != options.keyterms:
                attempt = _Pass(FULL_CONTEXT, "", options.temperature_fallback, terms, most_tokens)
                segments = self._decode(samples, duration_s, language, options, attempt, should_abort)
                retries = 1
            segments = cut_loops(drop_hopeless(segments), word_space(language))
        return Hypothesis(segments, language, decode_s=time.perf_counter() - started, retries=retries)

    def detect_language(self, pcm: Pcm16k, among: tuple[str, ...] = ()) -> tuple[LanguageGuess, ...]:
        """Guesses for ``among``, most probable first; their probabilities sum to 1. Raises as ``transcribe`` does."""
        self._check_known(among)
        return self._detect(_padded(pcm), among, fit_context=True)

    def _fitted_frames(self, samples: Pcm16k) -> int:
        return fitted_frames(seconds(samples.size), step_frames=self._step_frames)

    def _check_languages(self, options: DecodeOptions) -> None:
        # whisper.cpp answers an unknown code by silently detecting the language, and a known one that the model lacks (yue
        # before large-v3) by a token that means something else.
        self._check_known((options.language, *options.languages) if options.language else options.languages)
        if options.translate and not self.capabilities.translates and options.language not in (None, "en"):
            raise UnsupportedModel("This model cannot translate.")

    def _check_known(self, codes: Sequence[str]) -> None:
        if not set(codes) <= set(self.capabilities.languages):
            raise UnsupportedModel("The model does not know the language asked for.")

    def _detect(self, samples: Pcm16k, among: tuple[str, ...], fit_context: bool) -> tuple[LanguageGuess, ...]:
        if not self.capabilities.multilingual:
            return (LanguageGuess("en", 1.0),)
        codes = among or self.capabilities.languages
        if fit_context:
            guesses = self._guess(samples, codes, self._fitted_frames(samples))
            if guesses[0].probability >= SURE_LANGUAGE:
                return guesses
        return self._guess(samples, codes, FULL_CONTEXT)

    def _guess(self, samples: Pcm16k, codes: tuple[str, ...], frames: int) -> tuple[LanguageGuess, ...]:
        # The detection call takes no parameters of its own: it encodes with the context of the last decode. A decode that is
        # stopped before its encoder sets both the context and the spectrogram.
        parameters = self._parameters(DecodeOptions(), "en", _Pass(frames, "", fallback=False))
        binding.assign_encoder_begin_callback(parameters, lambda *_: False)
        self._check_status(binding.whisper_full(self._context, parameters, samples, samples.size), lambda: False)
        probabilities = np.zeros(binding.whisper_lang_max_id() + 1, dtype=np.float32)
        if binding.whisper_lang_auto_detect(self._context, 0, self.threads, probabilities) < 0:
            raise EngineFailed
        heard = {code: float(probabilities[binding.whisper_lang_id(code)]) for code in codes}
        total = sum(heard.values())
        guesses = [LanguageGuess(code, p / total if total else 1 / len(heard)) for code, p in heard.items()]
        return tuple(sorted(guesses, key=lambda guess: -guess.probability))

    def _decode(
        self,
        samples: Pcm16k,
        duration_s: float,
        language: str,
        options: DecodeOptions,
        attempt: _Pass,
        should_abort: Callable[[], bool],
    ) -> tuple[Segment, ...]:
        if should_abort():
            raise Aborted
        parameters = self._parameters(options, language, attempt)
        binding.assign_abort_callback(parameters, should_abort)
        spoken = "en" if options.translate else language
        steering = self._steering.attach(parameters, attempt.terms, spoken) if self._steering else None
        self._check_status(binding.whisper_full(self._context, parameters, samples, samples.size), should_abort)
        del steering  # the library held a bare pointer to it until here
        segments = build_segments(self._read_segments(), spoken, self._end_of_text, duration_s, scores=options.scores)
        silence = self._silence.probability(self.threads) if options.scores and segments and self._silence else None
        return tuple(replace(segment, temperature=options.temperature, no_speech_prob=silence) for segment in segments)

    def _check_status(self, status: int, should_abort: Callable[[], bool]) -> None:
        """An abort shows as -6 in the encoder and as -8 or -9 in the decoder, which real failures share."""
        if status == 0:
            return
        if status in (-6, -8, -9) and should_abort():
            raise Aborted
        raise EngineFailed

    def _parameters(self, options: DecodeOptions, language: str, attempt: _Pass) -> binding.whisper_full_params:
        """Every parameter that matters, on a new object: nothing is inherited from the call before."""
        beams = min(options.beam_size, MAX_DECODERS)
        strategy = binding.whisper_sampling_strategy
        parameters = binding.whisper_full_default_params(
            strategy.WHISPER_SAMPLING_BEAM_SEARCH if beams > 1 else strategy.WHISPER_SAMPLING_GREEDY
        )
        parameters.n_threads = self.threads
        parameters.language = language
        parameters.detect_language = False
        parameters.translate = options.translate
        parameters.audio_ctx = attempt.frames
        parameters.no_context = True
        parameters.initial_prompt = attempt.prompt  # None raises
        # A budget of 0 would drop the prompt too. With the prompt carried and a budget of exactly its tokens and the marker
        # before them, every window gets the prompt and none the text before it (long-2min.flac with a prompt, 2026-11-20:
        # 3.2 % word errors against 64.9 % with the default budget).
        prompt_tokens = abs(binding.whisper_tokenize(self._context, attempt.prompt, 0, 0)) if attempt.prompt else 0
        parameters.carry_initial_prompt = prompt_tokens > 0
        parameters.n_max_text_ctx = min(prompt_tokens + 1, self._prompt_limit) if prompt_tokens else 0
        parameters.token_timestamps = True
        parameters.no_timestamps = False
        parameters.single_segment = False
        parameters.max_initial_ts = MAX_INITIAL_TIMESTAMP_S
        parameters.suppress_blank = True
        parameters.suppress_nst = True
        parameters.max_tokens = attempt.most_tokens
        parameters.temperature = options.temperature
        parameters.temperature_inc = TEMPERATURE_STEP if attempt.fallback else 0.0
        parameters.greedy = {"best_of": min(max(1, options.best_of), MAX_DECODERS)}
        if beams > 1:
            parameters.beam_search = {"beam_size": beams, "patience": -1.0}
        parameters.vad = False
        parameters.print_progress = False
        parameters.print_realtime = False
        parameters.print_timestamps = False
        parameters.print_special = False
        return parameters

    def _read_segments(self) -> list[TokenSegment]:
        context = self._context
        return [
            TokenSegment(
                binding.whisper_full_get_segment_t0(context, index),
                binding.whisper_full_get_segment_t1(context, index),
                self._read_tokens(index),
            )
            for index in range(binding.whisper_full_n_segments(context))
        ]

    def _read_tokens(self, segment: int) -> tuple[Token, ...]:
        context = self._context
        items = [
            binding.whisper_full_get_token_data(context, segment, position)
            for position in range(binding.whisper_full_n_tokens(context, segment))
        ]
        return tuple(
            Token(item.id, binding.whisper_token_to_bytes(context, item.id), item.p, item.plog, item.t0, item.t1)
            for item in items
        )


def system_info() -> str:
    """The library's own line about its build: backends and CPU features."""
    return str(binding.whisper_print_system_info())


def find_hook(space: TokenSpace) -> LogitsHook | None:
    """The way to favour terms with the installed binding, or None; needs no model."""
    greedy = binding.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY
    return LogitsHook.find(binding, binding.whisper_full_default_params(greedy), space)


def _padded(pcm: Pcm16k) -> Pcm16k:
    samples = np.ascontiguousarray(pcm, dtype=np.float32)
    return samples if samples.size >= MIN_SAMPLES else np.pad(samples, (0, MIN_SAMPLES - samples.size))


def _languages(vocabulary: int) -> tuple[str, ...]:
    """Codes whose tokens are in a multilingual vocabulary of this size: 99, or 100 from large-v3 on."""
    return tuple(str(binding.whisper_lang_str(index)) for index in range(vocabulary - 51766))


_ERROR_LEVEL = 4
_errors: list[str] = []


def _on_log(level: int, text: str) -> None:
    if level == _ERROR_LEVEL:
        _errors.append(text)
    elif "loading model from" in text:  # the one line that names a path
        return
    log.debug("%s", text.rstrip())


def _route_log() -> None:
    """Send the library's chatter to logging instead of stderr, and let go of the callback before the interpreter does.

    A Python callback still set while the process ends crashes it: the library drops it without holding the interpreter lock.
    """
    binding.whisper_log_set(_on_log)
    atexit.register(binding.whisper_log_set, None)
