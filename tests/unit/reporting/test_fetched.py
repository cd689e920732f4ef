"""What a fetch did not bring, said once for all files of one reason."""

from __future__ import annotations

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.fetch import Failure, FetchReport
from stilts_artifact.errors import IntegrityError, MissingDataError
from stilts_artifact.reporting.fetched import missing_lines

BENCHMARK = load_benchmark("xtreme")
SOURCES = list(BENCHMARK.sources.values())


def unanswered(name: str, status: int = 404) -> Failure:
    source = BENCHMARK.sources[name]
    got = "".join(f"\n    {url}: HTTP {status}" for url in source.urls)
    return Failure(source, MissingDataError(f"{name} could not be fetched", got=got))


def test_files_of_one_reason_are_one_group_and_another_reason_is_another() -> None:
    names = [name for name in BENCHMARK.sources if name.startswith("tatoeba.")]
    other = Failure(SOURCES[0], IntegrityError("other bytes", got="these", expected="those"))
    report = FetchReport(absent=[*map(unanswered, names), other, unanswered("XNLI-1.0.zip", 503)])
    lines = missing_lines(report, BENCHMARK)
    assert lines[0] == "72 files: ... could not be fetched"
    assert lines[1] == "  https://github.com: HTTP 404"
    assert "  72 files tatoeba.afr-eng.afr ... tatoeba.cmn-eng.eng (2.65 MB)" in lines
    assert str(other.error) in "\n".join(lines), "alone of its kind, and whole"
    assert any("XNLI-1.0.zip: HTTP 503" in line for line in lines)
    assert len(lines) < 15


def test_what_is_to_be_brought_by_hand_is_named_once_with_what_needs_it() -> None:
    by_hand = [source for source in SOURCES if not source.urls]
    failures = [Failure(source, MissingDataError("not here")) for source in by_hand]
    lines = missing_lines(FetchReport(absent=failures), BENCHMARK)
    assert lines[0].startswith("41 files to be brought by hand") and "NOT_RUN" in lines[0]
    assert lines[1] == "  ccgbank_1_1.tgz, for CCG"
    assert "Linguistic Data Consortium" in lines[2]
    assert lines[3].startswith("  40 files wikipedia.af.txt ... wikipedia.zh.txt, for masked")
    assert len(lines) == 5


def test_nothing_is_said_where_nothing_is_missing() -> None:
    assert missing_lines(FetchReport(present=[("a", "store")]), BENCHMARK) == []
