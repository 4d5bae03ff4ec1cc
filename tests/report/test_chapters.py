"""Each evaluation has its words, in one place, and a page claims no more than what was measured."""

from understudy.report.chapters import ALWAYS_CLAIMED, CHAPTERS, NEVER_CLAIMED, chapter, claims, place


def test_a_chapter_is_titled_and_told() -> None:
    for one in CHAPTERS.values():
        assert one.title and one.text.endswith(".")
        assert all(sentence.endswith(".") for sentence in (*one.not_claimed, *filter(None, [one.claimed, one.missing])))
    assert chapter("toy").title == "Toy" and chapter("toy").text == ""


def test_others_come_last() -> None:
    assert place("utility") < place("fidelity") < place("privacy") < place("toy") == len(CHAPTERS)


def test_claims_are_those_of_what_was_measured() -> None:
    claimed, not_claimed = claims({"fidelity", "toy"})
    assert claimed == [CHAPTERS["fidelity"].claimed, ALWAYS_CLAIMED]
    assert not_claimed == [CHAPTERS["privacy"].missing, *NEVER_CLAIMED]
    assert claims({"privacy"})[1] == [*CHAPTERS["privacy"].not_claimed, *NEVER_CLAIMED]
