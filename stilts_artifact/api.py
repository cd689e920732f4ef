"""What a user of the library imports: the commands as functions, without printing.

Every function raises the package's own errors (:mod:`stilts_artifact.errors`), whose ``exit_code``
is what the command of the same name would exit with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import experiment_named

PathLike = str | os.PathLike[str]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stilts_artifact.checking.compare import RowComparison
    from stilts_artifact.checking.recheck import Recheck
    from stilts_artifact.checking.results import Results
    from stilts_artifact.experiments.outcome import Outcome
    from stilts_artifact.metrics.score import Scores
    from stilts_artifact.retrieval.mine import Pairs


def reproduce(
    experiment: str,
    *,
    scale: str = "auto",
    only: Sequence[str] = (),
    encoder: str | None = None,
    prefix: str = "",
    languages: Sequence[str] = (),
    own_data: PathLike | None = None,
    results: PathLike = "results",
    store: PathLike | None = None,
    data: Sequence[PathLike] = (),
    offline: bool = False,
    mirrors: Sequence[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    keep_models: Literal["all", "encoders", "none"] | None = None,
) -> Outcome:
    """Measure an experiment, judge it, and write its results file.

    Steps run in processes of their own, which nothing of the caller's environment reaches. What
    scores and judges them runs in the caller's process, with the libraries that it has loaded.

    Args:
        experiment: ``table1``, ``table2``, ``table3`` or ``calibration``, which is the scale's own:
            at some scales that is ``zero-shot``.
        scale: name of a scale, a file ``OWN.yaml`` with one, or ``auto``.
        encoder: in place of the scale's: a folder, ``NAME@COMMIT`` of a model on the Hugging Face
            hub, or the name of a cached one.
        prefix: text before every sentence that is embedded.
        languages: evaluate these only; none for all.
        own_data: folder of files that stand in for the benchmark's, such as ``mnli.train-en.tsv``.
        only: cells, as ``ROW``, ``ROW,COLUMN`` or ``*,COLUMN``; none for all. Other cells that lie
            in ``results`` are kept.
        results: folder of results files.
        store: folder of verified files and finished steps; ``results/.store`` by default.
        data: folders with files you already have, found by their sha256.
        offline: open no network connection.
        mirrors: base URLs that are tried first.
        workers: processes on this machine.
        scheduler: address of a Dask cluster to run on instead.
        keep_models: trained models that stay in the store once nothing needs them; by default what
            the scale says.

    Returns:
        The results as written, the verdict on what was asked for, and why cells have no value.

    Raises:
        ConfigError: no such experiment, scale or cell; with ``only``, results there that do not
            fit beside new ones.
        ResourceError, IntegrityError, DataError: what stops all of it.
    """
    # Imported here, as in every function below: reading results must not load what makes them.
    from stilts_artifact.experiments.outcome import reproduce as run
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import Choices, open_session

    machine = Machine(
        store=Path(store) if store is not None else Path(results, ".store"),
        data=tuple(map(Path, data)),
        offline=offline,
        mirrors=tuple(mirrors),
        workers=workers,
        scheduler=scheduler,
        keep_models=keep_models,
    )
    own = None if own_data is None else Path(own_data)
    choices = Choices(scale, tuple(only), encoder, prefix, tuple(languages), own)
    return run(open_session(experiment_named(experiment), choices, machine, Path(results)))


def check(
    results: PathLike, *, experiment: str | None = None, scale: str | None = None
) -> list[Recheck]:
    """Judge the results in a folder again: every cell from its predictions, every hash compared.

    Args:
        results: folder of results files.
        experiment, scale: only this one; by default all that are there.

    Raises:
        MissingDataError: there are no such results.
        ConfigError, DataError, IntegrityError: as :func:`stilts_artifact.checking.recheck.recheck`.
    """
    from stilts_artifact.checking.recheck import recheck
    from stilts_artifact.checking.results import results_files

    experiments = None if experiment is None else [experiment_named(experiment)]
    return [recheck(path) for path in results_files(Path(results), experiments, scale)]


def compare_rows(
    results: PathLike,
    first: str,
    second: str,
    *,
    experiment: str = "table2",
    scale: str | None = None,
    columns: Sequence[str] = (),
    languages: Sequence[str] = (),
) -> RowComparison:
    """What one row of a table has more than another, from verified predictions.

    Args:
        results: folder of results files.
        first, second: names of the rows; differences are the second's points minus the first's.
        experiment: of the table.
        scale: by default the one that is there.
        columns: names or patterns such as ``xquad*``; none for all.
        languages: names or patterns; each is compared in every column, beside the mean.

    Raises:
        MissingDataError: there are no such results, or no column that both rows have.
        ConfigError: an unknown name, results of several scales, or rows that were computed
            otherwise.
        DataError, IntegrityError: as :func:`check`.
    """
    from stilts_artifact.checking.compare import compare_rows as compare
    from stilts_artifact.checking.results import results_file

    path = results_file(Path(results), experiment_named(experiment), scale)
    return compare(path, (first, second), columns, languages)


def load_results(path: PathLike) -> Results:
    """The results in a file, as they stand there; :func:`check` says whether they are true.

    Raises:
        DataError: the file cannot be read or is not strict JSON.
        ConfigError: it is not a results file of this format.
    """
    from stilts_artifact.checking.results import load_results as load

    return load(Path(path))


def score_folders(
    predictions: PathLike,
    labels: PathLike,
    *,
    benchmark: Literal["xtreme", "mini"] = "xtreme",
    partial: bool = False,
) -> Scores:
    """XTREME's scores of ``{predictions}/{task}/test-{language}.*`` against ``labels``.

    Args:
        benchmark: whose tasks, languages and label sets apply.
        partial: a question without an answer counts 0, as XTREME has it.

    Returns:
        Scores in points with their sampling errors; what was left out is in its ``notes``.

    Raises:
        MissingDataError: a folder that is not there.
        DataError: nothing to score, an unknown language, or a file that cannot be vouched for.
    """
    from stilts_artifact.metrics.score import score_folders as score

    world = load_benchmark(benchmark)
    return score(Path(predictions), Path(labels), benchmark=world, partial=partial)


def mine(
    source: Sequence[str] | NDArray[Any],
    target: Sequence[str] | NDArray[Any],
    *,
    encoder: PathLike | None = None,
    layer: int | None = None,
    pooling: Literal["mean", "cls"] = "mean",
    prefix: str = "",
    max_length: int = 512,
    neighbours: int = 4,
    margin: Literal["ratio", "distance", "absolute"] = "ratio",
    duplicates: Literal["drop", "product"] = "product",
) -> Pairs:
    """Find the translations in two texts; the search is exact, and equal scores are ordered.

    Args:
        source, target: sentences; or float arrays [sentences, dimensions] of embeddings, in which
            case no encoder is needed.
        encoder: folder of a transformers encoder with safetensors weights.
        layer: index into ``hidden_states``, 0 being the embeddings; by default that at the paper's
            share of the depth, 14 of 24.
        prefix: text before every sentence.
        max_length: tokens kept of a sentence, prefix included.
        neighbours: k of the margin (Artetxe and Schwenk 2019, arXiv 1811.01136).
        duplicates: what a sentence that occurs more than once stands for: itself only, or every
            copy of it.

    Returns:
        Pairs of 0-based indices with scores, best first.

    Raises:
        DataError: neither embeddings nor an encoder, or a folder without one.
        IntegrityError: an encoder that cannot be used here.
        ConfigError: the encoder has no such layer.
        ResourceError: torch or memory is missing.
    """
    import tempfile

    from stilts_artifact.model.manifest import depth_of
    from stilts_artifact.retrieval.encode import Batching, Inspection, TransformerSentences, View
    from stilts_artifact.retrieval.knn import Search
    from stilts_artifact.retrieval.mine import Mining
    from stilts_artifact.retrieval.texts import mine_corpora, places_of
    from stilts_artifact.retrieval.transformer import default_layer, load_transformer

    sides = (_side("source", source), _side("target", target))
    with tempfile.TemporaryDirectory(prefix="stilts-mine-") as folder:
        encode = None
        if encoder is not None:
            chosen = default_layer(depth_of(Path(encoder))) if layer is None else layer
            encode = TransformerSentences(
                load_transformer(Path(encoder), deepest=chosen),
                View(chosen, pooling),
                Batching(max_length, prefix=prefix),
                Path(folder),
                inspection=Inspection(places_of(*sides)),
            )
        mining = Mining(neighbours, margin)
        pairs, _ = mine_corpora(
            *sides, encode, mining=mining, duplicates=duplicates, search=Search()
        )
    return pairs


def _side(name: str, given: Sequence[str] | NDArray[Any]) -> Any:
    import numpy as np

    from stilts_artifact.retrieval.texts import Corpus

    if isinstance(given, np.ndarray):
        return Corpus(name, None, given)
    return Corpus(name, tuple(given), None)


def sweep(
    encoder: PathLike,
    pairs: Sequence[tuple[str, str]],
    *,
    layers: Sequence[int],
    poolings: Sequence[Literal["mean", "cls"]] = ("mean",),
    prefix: str = "",
    max_length: int = 512,
) -> Mapping[tuple[str, int], float]:
    """Which layer of an encoder finds translations best: accuracy of nearest-neighbour search.

    Args:
        encoder: folder of a transformers encoder with safetensors weights.
        pairs: sentences and their translations; each first one is to be found from the second.
        layers: indices into ``hidden_states``, 0 being the embeddings.
        prefix: text before every sentence.
        max_length: tokens kept of a sentence, prefix included.

    Returns:
        (pooling, layer) -> accuracy in points, 0-100.

    Raises:
        DataError: a folder without an encoder, or no pairs.
        IntegrityError: an encoder that cannot be used here.
        ConfigError: the encoder has no such layer.
        ResourceError: torch is not installed, or memory is missing.
    """
    from stilts_artifact.domain.examples import SentencePair
    from stilts_artifact.retrieval.encode import Batching, View
    from stilts_artifact.retrieval.sweep import search_language
    from stilts_artifact.retrieval.sweep import sweep as score_views
    from stilts_artifact.retrieval.transformer import load_transformer

    aligned = [SentencePair(first, second) for first, second in pairs]
    views = [View(layer, pooling) for pooling in poolings for layer in layers]
    loaded = load_transformer(Path(encoder), deepest=max(layers))
    language = search_language("own text", aligned, "own")
    scored = score_views(loaded, views, [language], batching=Batching(max_length, prefix=prefix))
    return {(view.pooling, view.layer): points for _, view, points in scored}
