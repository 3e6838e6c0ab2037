from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.dialects.deepgram_options import parse_listen
from app.dialects.deepgram_rest import RequestFacts, render_response
from app.domain.errors import InvalidParameter, InvalidRequest
from app.domain.intelligence.findings import (
    Findings,
    Label,
    LabelledPassage,
    ModelUse,
    Passage,
    RatedPassage,
    SummarisedPassage,
)
from app.domain.intelligence.options import Asked, Feature, IntelligenceOptions, LabelChoice
from app.domain.intelligence.rating import rate_words
from app.domain.transcript import Transcript
from tests.support.transcripts import talk

FACTS = RequestFacts("2479c8c8-8185-40ac-9ac6-f0874419f793", datetime(2026, 1, 2, tzinfo=timezone.utc), "ab" * 32)
FIRST, SECOND = Passage(0, 0, 2, "Hello world."), Passage(0, 2, 3, "Bye.")
LABELLED = (LabelledPassage(FIRST, (Label("Greeting", 0.91318), Label("World", 1.0))),)


def parse(query: str) -> IntelligenceOptions:
    return parse_listen(query.encode(), max_channels=20).options.intelligence


def render(findings: Findings, query: str, transcript: Transcript | None = None) -> dict[str, Any]:
    options = parse_listen(query.encode(), max_channels=20).options
    spoken = replace(transcript or talk("Hello world. Bye."), findings=findings)
    body: dict[str, Any] = orjson.loads(render_response(spoken, options, FACTS))
    return body


class TestParameters:
    def test_nothing_is_asked_for_unless_it_is(self) -> None:
        assert parse("") == IntelligenceOptions()
        off = "summarize=false&topics=false&intents=0&sentiment=no&detect_topics=false"
        assert parse(off).asked == ()

    def test_each_parameter_asks_for_its_feature(self) -> None:
        assert parse("summarize=v2&topics=true&detect_topics=true&intents&sentiment=True").asked == (
            Asked(Feature.SUMMARY, "summarize"),
            Asked(Feature.TOPICS, "topics"),
            Asked(Feature.CHANNEL_TOPICS, "detect_topics"),
            Asked(Feature.INTENTS, "intents"),
            Asked(Feature.SENTIMENT, "sentiment"),
        )

    @pytest.mark.parametrize("value", ["true", "True", "", "1"])
    def test_summarize_true_is_the_first_version(self, value: str) -> None:
        assert parse(f"summarize={value}").asked == (Asked(Feature.PART_SUMMARIES, "summarize"),)

    def test_custom_labels_are_repeatable_and_have_a_mode(self) -> None:
        asked = parse(
            "topics=true&custom_topic=a+b&custom_topic=c&custom_topic=a+b&custom_topic_mode=strict&custom_intent=x"
        )
        assert asked.topics == LabelChoice(("a b", "c"), strict=True)
        assert asked.intents == LabelChoice(("x",), strict=False)

    @pytest.mark.parametrize(
        "query",
        ["summarize=v3", "custom_topic_mode=loose", "custom_intent_mode=x", "topics=maybe",
         "&".join(f"custom_topic=t{i}" for i in range(101)), "&".join(f"custom_intent=t{i}" for i in range(101))],
    )  # fmt: skip
    def test_unusable_values_are_refused(self, query: str) -> None:
        with pytest.raises(InvalidParameter):
            parse(query)

    @pytest.mark.parametrize("query", ["language=fr", "language=de-CH&topics=true"])
    def test_a_summary_of_another_language_is_refused_as_at_deepgram(self, query: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            parse(f"summarize=v2&{query}")
        assert caught.value.message == "Summarization v2 not supported for non-English languages"

    @pytest.mark.parametrize(
        "query", ["", "language=en-GB", "language=fr&translate=true", "language=fr&detect_language=true", "language=multi"]
    )
    def test_a_summary_of_english_or_of_what_is_not_known_yet_is_not(self, query: str) -> None:
        assert parse(f"summarize=v2&{query}").wants(Feature.SUMMARY)

    def test_other_languages_may_be_asked_about_everything_else(self) -> None:
        assert len(parse("language=fr&summarize=true&topics=true&intents=true&sentiment=true").asked) == 4

    def test_the_parser_warns_of_nothing_because_it_cannot_know(self) -> None:
        asked = parse_listen(b"summarize=v2&topics=true&custom_topic=x&sentiment=true", max_channels=2)
        assert asked.options.warnings == ()


class TestResults:
    def test_a_summary(self) -> None:
        body = render(Findings(summary="All well."), "summarize=v2")
        assert body["results"]["summary"] == {"result": "success", "short": "All well."}
        body = render(Findings(summary_failed=True), "summarize=v2")
        assert body["results"]["summary"] == {"result": "failure"}

    def test_topics_and_intents(self) -> None:
        results = render(Findings(topics=LABELLED, intents=LABELLED), "topics=true&intents=true")["results"]
        segment = {"text": "Hello world.", "start_word": 0, "end_word": 1}
        assert results["topics"]["segments"] == [
            {
                **segment,
                "topics": [
                    {"topic": "Greeting", "confidence_score": 0.91318},
                    {"topic": "World", "confidence_score": 1.0},
                ],
            }
        ]
        assert results["intents"]["segments"][0]["intents"][0] == {"intent": "Greeting", "confidence_score": 0.91318}
        assert "topics" not in results["channels"][0]["alternatives"][0]

    def test_sentiments_show_everywhere(self) -> None:
        rated = (RatedPassage(FIRST, 0.75), RatedPassage(SECOND, -1.0))
        spoken = talk("Hello world. Bye.")
        spoken = replace(spoken, channels=(rate_words(spoken.channels[0], 0, rated),))
        results = render(Findings(sentiments=rated), "sentiment=true&paragraphs=true&utterances=true", spoken)["results"]
        assert results["sentiments"] == {
            "segments": [
                {"text": "Hello world.", "start_word": 0, "end_word": 1, "sentiment": "positive", "sentiment_score": 0.75},
                {"text": "Bye.", "start_word": 2, "end_word": 2, "sentiment": "negative", "sentiment_score": -1.0},
            ],
            "average": {"sentiment": "neutral", "sentiment_score": 0.16666667},
        }
        alternative = results["channels"][0]["alternatives"][0]
        assert [word["sentiment"] for word in alternative["words"]] == ["positive", "positive", "negative"]
        assert list(alternative["words"][0])[-2:] == ["sentiment", "sentiment_score"]
        paragraph = alternative["paragraphs"]["paragraphs"][0]
        assert [sentence["sentiment"] for sentence in paragraph["sentences"]] == ["positive", "negative"]
        assert paragraph["sentiment_score"] == results["utterances"][0]["sentiment_score"] == 0.16666667
        assert results["utterances"][0]["words"] == alternative["words"]

    def test_the_older_forms_stand_at_the_alternatives(self) -> None:
        findings = Findings(topics=LABELLED, part_summaries=(SummarisedPassage(Passage(0, 0, 3, "..."), "Greetings."),))
        results = render(findings, "detect_topics=true&summarize=true")["results"]
        assert "topics" not in results
        assert "summary" not in results
        alternative = results["channels"][0]["alternatives"][0]
        assert alternative["summaries"] == [{"summary": "Greetings.", "start_word": 0, "end_word": 2}]
        assert alternative["topics"][0]["topics"][0] == {"topic": "Greeting", "confidence": 0.91318}

    def test_several_channels_are_named(self) -> None:
        other = LabelledPassage(Passage(1, 0, 1, "Hi."), (Label("Hi", 0.5),))
        body = render(Findings(topics=(*LABELLED, other)), "topics=true&detect_topics=true", talk("Hello world.", "Hi."))
        assert [segment["channel"] for segment in body["results"]["topics"]["segments"]] == [0, 1]
        alternatives = [channel["alternatives"][0] for channel in body["results"]["channels"]]
        assert [one["topics"][0]["text"] for one in alternatives] == ["Hello world.", "Hi."]

    def test_metadata_names_model_and_tokens_of_what_ran(self) -> None:
        use = ModelUse("llama3", 133, 57)
        findings = Findings(
            summary="x", uses=((Feature.SUMMARY, use), (Feature.SENTIMENT, use), (Feature.CHANNEL_TOPICS, use))
        )
        metadata = render(findings, "summarize=v2&sentiment=true&detect_topics=true")["metadata"]
        info = metadata["summary_info"]
        assert UUID(info["model_uuid"])
        assert (info["input_tokens"], info["output_tokens"]) == (133, 57)
        assert metadata["sentiment_info"] == metadata["topics_info"] == info
        assert "intents_info" not in metadata

    def test_what_was_not_asked_for_leaves_no_key(self) -> None:
        results = render(Findings(), "")["results"]
        assert list(results) == ["channels"]
        assert list(results["channels"][0]["alternatives"][0]) == ["transcript", "confidence", "words"]
