"""Alignment: what was planted in two clouds is found, and what only looks like it is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stilts_artifact.errors import DataError
from stilts_artifact.forms.alignment import VARIANTS
from stilts_artifact.forms.alignment_scores import MEASURES, Measures
from stilts_artifact.retrieval.alignment import (
    LayerAlignment,
    align,
    cka,
    gap,
    halves,
    hubness,
    isotropy,
    language_identity,
    rsa,
    translation_ranks,
)
from stilts_artifact.retrieval.mine import Mining, mine

N, D = 120, 24
HALF = np.arange(N) // 4 % 2 == 1
CHANCE = np.random.default_rng(7)
CLOUD = CHANCE.normal(size=(N, D))
NOISE = CHANCE.normal(size=(N, D))
ROTATION = np.linalg.qr(CHANCE.normal(size=(D, D)))[0]


def measured(source: Any, other: Any) -> dict[str, Measures]:
    return {str(variant): found for variant, found in align(source, other, HALF).measures.items()}


def test_identical_spaces_are_perfect_in_every_variant() -> None:
    found = align(CLOUD, CLOUD, HALF)
    assert (found.ranks == 1).all()
    assert found.ranks.shape == (N, len(VARIANTS), 2)
    for measures in found.measures.values():
        assert list(measures) == list(MEASURES)
        assert measures["accuracy"] == measures["cosine-accuracy"] == 100
        assert measures["cka"] == pytest.approx(1)
        assert measures["rsa"] == pytest.approx(1)


def test_an_offset_hides_translations_until_it_is_taken_away() -> None:
    """A language that lies apart: nothing but its mean differs."""
    offset = np.zeros(D)
    offset[:4] = 30.0
    found = measured(CLOUD, CLOUD + offset)
    assert found["raw"]["accuracy"] < 80
    assert found["raw"]["language-identity"] > 0.4
    assert abs(found["centred"]["language-identity"]) < 0.05
    same = measured(CLOUD, CLOUD)
    for variant in ("centred", "reduced"):
        for name in MEASURES:
            assert found[variant][name] == pytest.approx(same[variant][name], abs=1e-8), name


def test_a_rotation_keeps_the_geometry_and_loses_the_translations() -> None:
    found = measured(CLOUD, CLOUD @ ROTATION)["centred"]
    assert found["accuracy"] < 15
    assert found["cka"] == pytest.approx(1)
    assert found["rsa"] == pytest.approx(1)
    assert measured(CLOUD, NOISE)["centred"]["cka"] < 0.2, "chance is no alignment"


def test_directions_of_a_language_alone_are_taken_out_of_it() -> None:
    """Three directions of great variance that no translation shares."""
    wide = NOISE[:, :3] * 25 @ ROTATION[:3]
    found = measured(CLOUD, CLOUD + wide)
    assert found["centred"]["accuracy"] < 60
    assert found["reduced"]["accuracy"] > found["centred"]["accuracy"] + 25
    assert found["reduced"]["isotropy"] > 3 * found["centred"]["isotropy"]


def test_each_half_has_the_ranks_of_what_was_fitted_on_the_other() -> None:
    """Wide directions of one half alone: what is fitted there never serves that half itself."""
    wide = NOISE[:, :3] * 25 @ ROTATION[:3]
    ranks = align(CLOUD, CLOUD + np.where(HALF[:, None], wide, 0), HALF).ranks[:, 2]
    assert (ranks[HALF] == 1).mean() < 0.6
    fitted_on_itself = align(CLOUD, CLOUD + wide, HALF).ranks[:, 2]
    assert (fitted_on_itself[HALF] == 1).mean() > 0.8, "where the other half has them, too"


def test_ranks_are_of_the_margin_that_mining_has() -> None:
    other = CLOUD + 1.2 * NOISE
    ranks = align(CLOUD, other, HALF, Mining(neighbours=4)).ranks[:, 0]
    for way, retrieval in enumerate(("forward", "backward")):
        pairs = mine(CLOUD, other, Mining(neighbours=4, retrieval=retrieval))  # type: ignore[arg-type]
        asked = (pairs.source, pairs.target)[way]
        right = np.zeros(N, bool)
        right[asked[pairs.source == pairs.target]] = True
        # Mining looks at the nearest four alone; a better margin may lie beyond them.
        assert (right == (ranks[:, way] == 1)).mean() > 0.97
    plain = translation_ranks(
        CLOUD
        / np.linalg.norm(CLOUD, axis=1)[:, None]
        @ (other / np.linalg.norm(other, axis=1)[:, None]).T
    )
    assert (align(CLOUD, other, HALF, Mining(margin="absolute")).ranks[:, 0] == plain).all()
    assert (plain != ranks).any(), "a margin is no cosine"


def test_equal_scores_stand_by_index() -> None:
    scores = np.array([[0.5, 0.5, 0.5], [0.9, 0.5, 0.5], [0.1, 0.2, 0.3]])
    assert translation_ranks(scores).tolist() == [[1, 2], [2, 2], [1, 3]]


def test_a_collapsed_encoder_finds_next_to_nothing() -> None:
    """All sentences are one point: what float32 leaves of their differences is no direction."""
    point = 1 + np.arange(D) / 3
    last_bits = 1 + np.sign(NOISE) * 2.0**-24
    found = align((point * last_bits).astype(np.float32), np.tile(point * 2, (N, 1)), HALF)
    for variant, measures in found.measures.items():
        assert measures["accuracy"] <= 100 / N + 1e-9, variant
        assert all(math.isnan(measures[name]) for name in ("gap", "cka", "isotropy")), variant


def test_a_planted_hub_is_seen() -> None:
    other = CLOUD + 0.3 * NOISE
    hub = other.copy()
    hub[5] = CLOUD.mean(axis=0) * 0 + np.abs(CLOUD).max() * 40
    shifted = CLOUD + 3.0
    plain, hubbed = measured(shifted, other + 3.0)["raw"], measured(shifted, hub + 3.0)["raw"]
    assert hubbed["hubness"] > plain["hubness"] + 1
    assert hubbed["never-found"] >= plain["never-found"]
    found = np.tile([5, *range(9)], (N, 1))
    skewness, never = hubness(found)
    assert never == pytest.approx(100 * (N - 9) / N)
    assert skewness > 3


def test_the_gap_is_in_spreads_of_other_pairs() -> None:
    cosines = np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.3], [0.3, 0.2, 0.7]])
    others = cosines[~np.eye(3, dtype=bool)]
    assert gap(cosines) == pytest.approx((0.8 - others.mean()) / others.std())
    assert math.isnan(gap(np.ones((3, 3))))


def test_isotropy_is_that_of_the_authors_steps() -> None:
    """Rudman et al. 2022, algorithm 1, step by step."""
    rows = CLOUD * np.linspace(0.1, 3, D)
    variances = np.linalg.eigvalsh(np.cov(rows.T))
    normed = math.sqrt(D) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(normed - 1) / math.sqrt(2 * (D - math.sqrt(D)))
    used = (D - defect**2 * (D - math.sqrt(D))) ** 2 / D**2
    assert isotropy(rows) == pytest.approx((D * used - 1) / (D - 1))
    line = np.outer(CLOUD[:, 0], np.ones(D))
    assert isotropy(line) == pytest.approx(0, abs=1e-9)


def test_cka_is_the_ratio_of_unbiased_hsic() -> None:
    """Song et al. 2012, equation 5, with both Gram matrices."""

    def hsic(one: Any, other: Any) -> float:
        k, m = one @ one.T, other @ other.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        ones = np.ones(N)
        first = np.trace(k @ m) + ones @ k @ ones * (ones @ m @ ones) / ((N - 1) * (N - 2))
        return float(first - 2 / (N - 2) * (ones @ k @ m @ ones)) / (N * (N - 3))

    other = CLOUD @ ROTATION + NOISE + 5
    wanted = hsic(CLOUD, other) / math.sqrt(hsic(CLOUD, CLOUD) * hsic(other, other))
    assert cka(CLOUD, other) == pytest.approx(wanted)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def test_rsa_and_silhouette_are_those_of_others() -> None:
    stats = pytest.importorskip("scipy.stats")
    sklearn = pytest.importorskip("sklearn.metrics")
    one, other = unit(CLOUD), unit(CLOUD + NOISE + 1)
    above = np.triu_indices(N, 1)
    wanted = stats.spearmanr((one @ one.T)[above], (other @ other.T)[above]).statistic
    assert rsa(one, other) == pytest.approx(wanted)
    both, labels = np.concatenate([one, other]), np.repeat([0, 1], N)
    silhouette = sklearn.silhouette_score(both, labels, metric="cosine")
    assert language_identity(one, other) == pytest.approx(silhouette)


def test_halves_are_of_documents() -> None:
    assert halves(["a", "b", "b", "c", "d"]).tolist() == [False, True, True, False, True]


@pytest.mark.parametrize(
    ("source", "other", "half", "what"),
    [
        (CLOUD, CLOUD[:-1], HALF, "do not have the same sentences"),
        (CLOUD, CLOUD[:, :-1], HALF, "do not have the same sentences"),
        (CLOUD, CLOUD, HALF[:-1], "do not have the same sentences"),
        (CLOUD[:10], CLOUD[:10], HALF[:10], "too few sentences"),
        (CLOUD, CLOUD, np.zeros(N, bool), "too few sentences"),
        (CLOUD * np.where(np.arange(N) == 3, 0, 1)[:, None], CLOUD, HALF, "without a direction"),
        (CLOUD, CLOUD + np.where(np.arange(N) == 3, np.nan, 0)[:, None], HALF, "direction"),
    ],
)
def test_what_cannot_be_aligned_is_refused(source: Any, other: Any, half: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        align(source, other, half)


def test_the_same_in_float32(tmp_path: Any) -> None:
    """As encoders give them, memory-mapped."""
    np.save(tmp_path / "rows.npy", CLOUD.astype(np.float32))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    found: LayerAlignment = align(mapped, mapped, HALF)
    assert (found.ranks == 1).all()
