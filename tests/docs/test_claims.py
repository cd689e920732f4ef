"""The section on claims of docs/reviewers.md is the one that the claims and the plan give today."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.claims import claims_path, load_claims
from stilts_artifact.errors import ConfigError
from stilts_artifact.reporting import claim_table
from stilts_artifact.reporting.claim_table import BEGIN, END, Command, command_of, main, plan_of

TABLE2 = EXPERIMENTS["table2"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reviewers.md"


@pytest.mark.slow
def test_the_page_is_up_to_date() -> None:
    assert main([str(PAGE), "--check"]) == 0


@pytest.mark.slow
def test_a_page_that_is_not_is_refused_and_mended(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    text = PAGE.read_text(encoding="utf-8")
    copy.write_text(
        text.replace("SQuAD gains 8.2 points", "SQuAD gains 9.2 points"), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="not up to date"):
        main([str(copy), "--check"])
    main([str(copy)])
    assert copy.read_text(encoding="utf-8") == text


def test_a_page_without_a_place_for_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"{END} {BEGIN}", encoding="utf-8")
    with pytest.raises(ConfigError, match="no place"):
        main([str(tmp_path / "page.md")])


def test_each_claim_has_the_shortest_command_that_decides_it() -> None:
    claims = {claim.id: command_of(claim) for claim in load_claims(claims_path()).claims}
    assert claims["mnli-gain"] == Command(TABLE2, ("none", "mnli"))
    assert claims["xnli-from-none"] == Command(TABLE2, ("*,xnli",))
    assert claims["improves"] == Command(TABLE2, ())
    assert claims["best-gain"] == Command(EXPERIMENTS["table3"], ())
    assert claims["english-over-translated"] is None


def test_costs_are_those_of_the_command() -> None:
    part, whole = plan_of(Command(TABLE2, ("none", "mnli"))), plan_of(Command(TABLE2, ()))
    assert 0 < part.gpu_seconds < whole.gpu_seconds
    assert (
        str(Command(TABLE2, ("*,xnli",)))
        == 'stilts-artifact reproduce --table 2 --scale paper --only "*,xnli"'
    )


def test_data_that_nobody_can_download_are_named() -> None:
    section = claim_table.claims_section()
    line = next(line for line in section.splitlines() if "Multi-task training is best" in line)
    assert "NOT_RUN without `ccgbank_1_1.tgz`" in line
    assert "NOT_RUN without `ccgbank_1_1.tgz` and Wikipedia" in next(
        line for line in section.splitlines() if "Continued masked" in line
    )
    assert "ccgbank" not in next(line for line in section.splitlines() if "MNLI gains" in line)
