"""Plug-in errors of calibration equal torchmetrics'."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from stilts_artifact.studies.calibration import BINS, confidences, ece_width

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("examples", [120, 5010])
@pytest.mark.parametrize("sharpness", [0.5, 4.0])
def test_ece_equals_that_of_torchmetrics(examples: int, sharpness: float) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    generator = np.random.default_rng(examples)
    log_probabilities = log_softmax(sharpness * generator.standard_normal((examples, 3)), axis=1)
    # Right 60 times in 100, whatever the confidence: some bins are over-, some underconfident.
    right = generator.random(examples) < 0.6
    gold = np.where(right, log_probabilities.argmax(axis=1), log_probabilities.argmin(axis=1))
    theirs = multiclass_calibration_error(
        torch.from_numpy(np.exp(log_probabilities)),
        torch.from_numpy(gold),
        num_classes=3,
        n_bins=BINS,
    )
    found = ece_width(confidences(log_probabilities, gold))
    assert found == pytest.approx(100 * float(theirs), abs=1e-4)
