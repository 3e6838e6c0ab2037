"""A pool over another server that fails in every way: what its callers are told, and what is tried again."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from app.domain.errors import BackendFailed, DecodeTimeout, Overloaded, SttError, Unavailable, UnsupportedModel
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineSession, JobClass
from app.domain.transcript import Hypothesis
from app.engines import remote
from app.engines.remote import RemotePool
from app.engines.remote_backend import Backend
from tests.support.backend_pool import PCM, failure, play, recognise, replies
from tests.support.backend_server import Answer, Asked, BackendServer, Json, Reply, good, transcript

HTML = Reply(200, b"<html>Welcome to nginx</html>", media_type="text/html")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(remote, "LONGEST_BACKOFF_S", 0.02)
    monkeypatch.setattr(remote, "PROBE_DOWN_S", 0.01)


class TestWhatFails:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (HTML, BackendFailed),
            (Reply(200, b'{"text": "Hel'), BackendFailed),
            (Reply(200, b"[1, 2]"), BackendFailed),
            (Reply(200, b'{"text": null}'), BackendFailed),
            (Reply(200, b'{"text": "' + b"a" * (5 << 20) + b'"}'), BackendFailed),
            (Reply(200, b'{"text": "half', promised=1000), BackendFailed),
            (Reply(401, b"{}"), BackendFailed),
            (Reply(404, b'{"error": "model not found"}'), BackendFailed),
            (Reply(418, b"{}"), BackendFailed),
            (Reply(500, b"secret trace"), BackendFailed),
            (Reply(302, headers={"Location": "http://127.0.0.2:1/v1/audio/transcriptions"}), BackendFailed),
            (Reply(307, headers={"Location": "/v1/audio/transcriptions"}), BackendFailed),
            (Reply(429), Overloaded),
            (Reply(503), Unavailable),
        ],
    )
    def test_what_is_no_transcript_is_told_in_a_sentence(self, answer: Reply, kind: type[SttError]) -> None:
        error = failure(lambda _: answer)
        assert type(error) is kind
        assert "secret" not in error.message
        assert "127.0.0" not in error.message

    def test_a_silent_server_is_given_up_in_time(self) -> None:
        error = failure(lambda _: asyncio.sleep(3600), timeout_s=0.2)  # type: ignore[arg-type]
        assert type(error) is DecodeTimeout

    def test_a_long_wait_asked_for_is_handed_on(self) -> None:
        error = failure(lambda _: Reply(429, headers={"Retry-After": "700"}))
        assert isinstance(error, Overloaded)
        assert error.retry_after_s == 700

    def test_waiting_here_for_a_place_there_is_not_held_against_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now_s = [0.0]
        monkeypatch.setattr(remote, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            may_go = asyncio.Event()

            async def then() -> Json | Reply:
                await may_go.wait()
                return transcript()

            server.answer = lambda _: then()
            decodes = [asyncio.ensure_future(recognise(pool)) for _ in range(3)]
            while not server.asked:
                await asyncio.sleep(0)
            now_s[0] += 25.0  # more than one decode may take
            may_go.set()
            assert all(hypothesis.words for hypothesis in await asyncio.gather(*decodes))

        play(scenario, parallel=1, timeout_s=20.0)

    def test_one_that_says_nothing_while_it_works_is_not_taken_for_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            monkeypatch.setattr(remote, "PROBE_S", 0.01)
            is_done = asyncio.Event()

            async def until_then() -> Json | Reply:
                server.probes_wait = is_done
                await is_done.wait()
                return transcript()

            server.answer = lambda _: until_then()
            working = asyncio.ensure_future(recognise(pool))
            while server.probes < 5:
                await asyncio.sleep(0.001)
            assert pool.stats().workers
            is_done.set()
            assert (await working).words

        play(scenario)

    def test_one_that_says_nothing_while_it_has_nothing_to_do_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            server.probes_wait = asyncio.Event()
            with monkeypatch.context() as impatient:
                impatient.setattr(remote, "PROBE_S", 0.01)
                while pool.stats().workers:
                    await asyncio.sleep(0.001)
            server.probes_wait = None
            while not pool.stats().workers:
                await asyncio.sleep(0.001)

        play(scenario)

    def test_nobody_there_is_told_before_any_work(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            await server.stop()
            with pytest.raises(Unavailable):
                await recognise(pool)
            assert pool.stats().workers == 0
            with pytest.raises(Unavailable):
                async with pool.admit():
                    pass
            await server.start()
            while not pool.stats().workers:
                await asyncio.sleep(0)
            assert (await recognise(pool)).words

        play(scenario)

    def test_a_server_that_is_away_at_the_start_may_come_later(self) -> None:
        async def scenario() -> None:
            server = BackendServer(good)
            await server.start()
            await server.stop()
            pool = await RemotePool.start(Backend("remote", server.url))
            assert pool.stats().workers == 0
            await server.start()
            while not pool.stats().workers:
                await asyncio.sleep(0.001)
            await pool.close()
            await server.stop()

        asyncio.run(scenario())

    def test_no_sound_no_text_and_no_secret_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)

        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            await recognise(pool, DecodeOptions(prompt="a private name"))
            await server.stop()
            with pytest.raises(SttError):
                await recognise(pool)

        play(scenario, authorization="Bearer secret")
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("whisperapi")]
        assert ours == ["the backend remote cannot be reached"]
        assert not any("private" in record.getMessage() or "secret" in record.getMessage() for record in caplog.records)

    def test_languages_it_is_not_said_to_know_are_refused(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            with pytest.raises(UnsupportedModel):
                await recognise(pool, DecodeOptions(language="fr"))
            with pytest.raises(UnsupportedModel):
                await recognise(pool, DecodeOptions(language="en", translate=True))
            assert not server.asked

        play(scenario, languages=("en", "de"))


class TestWhatIsTriedAgain:
    @pytest.mark.parametrize(
        "first",
        [
            Reply(500),
            Reply(502),
            Reply(503),
            Reply(429),
            Reply(429, headers={"Retry-After": "0"}),
            Reply(200, b"{", promised=9),
        ],
    )
    def test_what_may_pass_is_asked_for_again(self, first: Reply) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            heard = await recognise(pool)
            assert [word.text for word in heard.words] == ["Hello", "world."]
            assert len(server.asked) == 2

        play(scenario, replies(first))

    def test_a_recording_is_given_up_after_three_attempts(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            with pytest.raises(BackendFailed):
                await recognise(pool)
            assert len(server.asked) == 3

        play(scenario, lambda _: Reply(500))

    def test_a_final_of_live_speech_outlives_a_restart(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit(live=True) as session:
                await server.stop()
                final = asyncio.ensure_future(session.transcribe(PCM, DecodeOptions(), JobClass.FINAL))
                while pool.stats().workers:
                    await asyncio.sleep(0)
                await server.start()
                assert [word.text for word in (await final).words] == ["Hello", "world."]

        play(scenario)

    def test_a_final_is_lost_in_the_end_and_the_session_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "LIVE_PATIENCE_S", 0.1)

        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit(live=True) as session:
                await server.stop()
                with pytest.raises(Unavailable):
                    await session.transcribe(PCM, DecodeOptions(), JobClass.FINAL)
                await server.start()
                assert (await session.transcribe(PCM, DecodeOptions(), JobClass.FINAL)).words

        play(scenario)

    def test_an_interim_is_never_tried_again(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            with pytest.raises(Aborted):
                await recognise(pool, job_class=JobClass.INTERIM)
            assert len(server.asked) == 1

        play(scenario, lambda _: Reply(500))

    def test_text_that_echoes_its_prompt_is_asked_for_without_it(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            heard = await recognise(pool, DecodeOptions(prompt="Anna Berta Clara Dora"))
            assert [word.text for word in heard.words] == ["Hello", "world."]
            assert ["prompt" in asked.fields for asked in server.asked] == [True, False]
            assert heard.retries == 1

        play(scenario, replies(transcript("Anna Berta Clara")))

    def test_a_loop_is_cut(self) -> None:
        async def scenario(pool: RemotePool, _: BackendServer) -> None:
            heard = await recognise(pool)
            assert [word.text for word in heard.words] == ["thank", "you"]

        play(scenario, lambda _: transcript(" ".join(["thank you"] * 40)))


class TestOrder:
    def test_what_is_answered_does_not_count_as_given_up(self) -> None:
        async def scenario(pool: RemotePool, _: BackendServer) -> None:
            await recognise(pool)
            stats = pool.stats()
            assert (stats.done, stats.aborted, stats.failed, stats.busy) == (1, 0, 0, 0)

        play(scenario)

    def test_no_more_requests_are_under_way_than_allowed(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit() as session:
                await asyncio.gather(*(session.transcribe(PCM, DecodeOptions(), JobClass.LONG_RECORDING) for _ in range(8)))
            assert len(server.asked) == 8
            assert server.at_once == 2

        async def slowly(asked: Asked) -> Json | Reply:
            await asyncio.sleep(0.02)
            return good(asked)

        play(scenario, slowly, parallel=2)

    def test_a_final_breaks_an_interim_off(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit(live=True) as session:
                interim = asyncio.ensure_future(session.transcribe(PCM, DecodeOptions(), JobClass.INTERIM))
                while not server.asked:
                    await asyncio.sleep(0)
                assert (await session.transcribe(PCM, DecodeOptions(), JobClass.FINAL)).words
                with pytest.raises(Aborted):
                    await interim
            assert server.gone == 1
            assert pool.stats().shed == 1

        def hold_the_first(asked: Asked) -> Answer:
            held.append(asked)
            return asyncio.sleep(3600) if len(held) == 1 else good(asked)  # type: ignore[return-value]

        held: list[Asked] = []
        play(scenario, hold_the_first, parallel=1)

    def test_interims_leave_half_of_the_places_free(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit(live=True) as session:
                interims = [ask(session, JobClass.INTERIM) for _ in range(6)]
                while len(server.asked) < 2:
                    await asyncio.sleep(0)
                final = ask(session, JobClass.FINAL)
                while len(server.asked) < 3:
                    await asyncio.sleep(0)
                assert pool.stats().waiting == 4
                assert pool.stats().shed == 0
                for task in (*interims, final):
                    task.cancel()
                await asyncio.gather(*interims, final, return_exceptions=True)
            assert pool.stats().busy == 0

        def ask(session: EngineSession, job_class: JobClass) -> asyncio.Task[Hypothesis]:
            return asyncio.ensure_future(session.transcribe(PCM, DecodeOptions(), job_class))

        play(scenario, lambda _: asyncio.sleep(3600), parallel=4)  # type: ignore[arg-type]

    def test_a_client_that_leaves_ends_its_request(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit() as session:
                task = asyncio.ensure_future(session.transcribe(PCM, DecodeOptions(), JobClass.FINAL))
                while not server.asked:
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            while not server.gone:
                await asyncio.sleep(0)
            assert pool.stats().busy == 0

        play(scenario, lambda _: asyncio.sleep(3600))  # type: ignore[arg-type]


class TestLanguages:
    def test_the_language_told_by_name_comes_first(self) -> None:
        async def scenario(pool: RemotePool, server: BackendServer) -> None:
            async with pool.admit() as session:
                guesses = await session.detect_language(PCM, ("en", "de", "fr"), JobClass.FINAL)
            assert [guess.language for guess in guesses] == ["de", "en", "fr"]
            assert sum(guess.probability for guess in guesses) == pytest.approx(1.0)
            assert "language" not in server.asked[0].fields

        play(scenario, lambda _: transcript(language="german"))

    def test_a_server_that_tells_no_language_cannot_detect(self) -> None:
        async def scenario(pool: RemotePool, _: BackendServer) -> None:
            async with pool.admit() as session:
                with pytest.raises(UnsupportedModel):
                    await session.detect_language(PCM, (), JobClass.FINAL)

        play(scenario, lambda _: {"text": "Hallo."})


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
