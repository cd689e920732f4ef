"""Mining against the textbook: two FAISS flat searches, then one pair after the other in Python.

    python benchmarks/retrieval.py --rows 10000 30000 100000
    python benchmarks/retrieval.py --rows 30000 --first float32 bfloat16
    python benchmarks/retrieval.py --rows 500000 --dimensions 768 --alone

Every side runs in a child process of its own, in turn, on the same files. Prints times, ratios,
peak memory (of the child, inputs included), whether the pairs are the same, and the limit: what one
float32 multiplication of the two matrices takes at the machine's measured peak. ``TARGETS``
hold at ``TARGET_SHAPE`` on a CPU. Beside the time that passed stands the processors' time, which
other programs on the machine change less: the limit in it is at the peak of one thread.

``--alone`` leaves out the textbook, which takes too long where there are many rows; ``SAMPLED`` of
either side are then searched in float64 and compared.

Measured on 2 cores of a Xeon with AMX (family 6, model 207), no sampled row different.
30,000 x 30,000 x 1024 on the idle machine with 2 threads: float32 1.84 and 1.91 x limit, bfloat16
1.49 twice. What waits for work in BLAS and OpenMP spins, and takes the processors from the threads
that look through the blocks: with OMP_WAIT_POLICY=passive OPENBLAS_THREAD_TIMEOUT=4 the searches
took 11.2 s and 5.7 s, once, where a limit measured in another run was 5.7 s.
In processors' time of one thread, at load 12 to 15: float32 1.27 and 1.33 x limit, bfloat16 0.48
and 0.55. Once, in two threads at load 15: 200,000 x 200,000 x 768, 267 s of processor, 0.61 x
limit, 0.53 GiB beside the inputs.
500,000 x 500,000 was not run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGETS = {"speed-up": 1.7, "GiB beside the inputs": 1.0, "after the search": 0.05}
TARGET_SHAPE = (100_000, 1024)  # rows of either side, dimensions
K = 4
SAMPLED = 64
TIE = 2e-6  # float32 margins closer than this may be in either order

Pair = tuple[int, int]
Scored = dict[Pair, float]


def main() -> None:
    """Parent: make data, run the children in turn, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--dimensions", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--first", nargs="+", default=["auto"], choices=["auto", "float32", "bfloat16"]
    )
    parser.add_argument("--alone", action="store_true", help="without the textbook")
    parser.add_argument(
        "--child", nargs=3, metavar=("WHAT", "FOLDER", "ARGUMENT"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.child:
        CHILDREN[options.child[0]](Path(options.child[1]), options.child[2])
        return
    print(
        f"machine: {_processor()}, {os.cpu_count()} cores, {options.threads} threads used; "
        f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}"
    )
    same = [_compare(rows, options) for rows in options.rows]
    sys.exit(0 if all(same) else 1)


def _compare(rows: int, options: argparse.Namespace) -> bool:
    threads, dimensions = options.threads, options.dimensions
    with tempfile.TemporaryDirectory(prefix="stilts-benchmark-") as name:
        folder = Path(name)
        _child("data", folder, f"{rows},{dimensions}", threads)
        peaks, textbook = [], []
        ours: dict[str, list[Any]] = {first: [] for first in options.first}
        for _ in range(options.rounds):
            peaks.append(_child("peak", folder, "", threads))
            for first, runs in ours.items():
                runs.append(_child("ours", folder, first, threads))
            if not options.alone:
                textbook.append(_child("textbook", folder, "", threads))
        found = _child("sampled" if options.alone else "agree", folder, "", threads)
    _print(rows, dimensions, peaks, ours, textbook)
    if options.alone:
        print(f"  neighbours of {found['sampled']} rows, {found['different']} not those of float64")
        return bool(found["different"] == 0)
    print(
        f"  pairs: {found['ours']:,} and {found['textbook']:,}, {found['different']} different, "
        f"{found['unexplained']} of them not for a float32 tie; "
        f"scores within {found['gap']:.1e}"
    )
    return bool(found["unexplained"] == 0)


def _print(
    rows: int,
    dimensions: int,
    peaks: list[Any],
    ours: dict[str, list[Any]],
    textbook: list[Any],
) -> None:
    peak, one = (max(found[name] for found in peaks) for name in ("flops", "flops of one"))
    work = 2 * rows * rows * dimensions
    inputs = 2 * rows * dimensions * 4 / 2**30
    print(
        f"{rows:,} x {rows:,} x {dimensions} float32, k = {K}, both directions; "
        f"inputs {inputs:.2f} GiB"
    )
    print(
        f"  one multiplication at the measured peak of {peak / 1e9:.0f} GFLOP/s: "
        f"{work / peak:.1f} s; at {one / 1e9:.0f} GFLOP/s of one thread {work / one:.1f} s of it"
    )
    for name, runs in {**ours, "textbook": textbook}.items():
        for run in runs:
            total = run["search"] + run["after"]
            print(
                f"  {name:<9} search {run['search']:8.2f} s  after {run['after']:6.2f} s  "
                f"{total / (work / peak):5.2f} x limit  processors {run['processors']:8.2f} s  "
                f"{run['processors'] / (work / one):5.2f} x limit  peak {run['peak']:.2f} GiB"
            )
    for name, runs in ours.items():
        _judge(name, runs, textbook, inputs, shape=(rows, dimensions))


def _judge(
    name: str, ours: list[Any], textbook: list[Any], inputs: float, shape: tuple[int, int]
) -> None:
    measured = {
        "GiB beside the inputs": max(run["peak"] for run in ours) - inputs,
        "after the search": statistics.median(run["after"] / run["search"] for run in ours),
    }
    if textbook:
        ratios = [
            (slow["search"] + slow["after"]) / (fast["search"] + fast["after"])
            for fast, slow in zip(ours, textbook, strict=True)
        ]
        measured["speed-up"] = statistics.median(ratios)
    for what, value in measured.items():
        target = TARGETS[what]
        met = value >= target if what == "speed-up" else value < target
        verdict = (
            ("met" if met else "missed")
            if shape == TARGET_SHAPE
            else "at {:,} x {}".format(*TARGET_SHAPE)
        )
        print(
            f"  {name}, {what}: {value:.3f} "
            f"(target {'>=' if what == 'speed-up' else '<'} {target}: {verdict})"
        )


def _child(what: str, folder: Path, argument: str, threads: int) -> Any:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    command = [sys.executable, __file__, "--child", what, str(folder), argument]
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout)


def make_data(folder: Path, argument: str) -> None:
    """Two sides around a common direction, as sentence embeddings lie; half of them translate."""
    import numpy as np

    rows, dimensions = map(int, argument.split(","))
    draw = np.random.default_rng(0)
    common = draw.standard_normal(dimensions, dtype=np.float32)
    source = draw.standard_normal((rows, dimensions), dtype=np.float32)
    target = draw.standard_normal((rows, dimensions), dtype=np.float32)
    shared = draw.permutation(rows)[: rows // 2]
    target[: len(shared)] = source[shared] + 0.8 * target[: len(shared)]
    for name, side in (("source", source), ("target", target)):
        np.save(folder / f"{name}.npy", side + common)
    print("{}")


def measure_peak(_: Path, __: str) -> None:
    """The best rate of a large float32 multiplication."""
    import numpy as np

    left, right = (
        np.random.default_rng(0).standard_normal((4096, 4096), dtype=np.float32) for _ in range(2)
    )
    out = np.empty((4096, 4096), np.float32)
    best = min(_timed(lambda: np.matmul(left, right, out=out)) for _ in range(8))
    # Of one thread by what all of them took of the processors.
    least = min(
        _timed(lambda: np.matmul(left, right, out=out), time.process_time) for _ in range(8)
    )
    print(json.dumps({"flops": 2 * 4096**3 / best, "flops of one": 2 * 4096**3 / least}))


def run_ours(folder: Path, first: str) -> None:
    """This package."""
    import numpy as np

    from stilts_artifact.retrieval.knn import Search, nearest_both
    from stilts_artifact.retrieval.mine import Mining, select_pairs

    source, target = np.load(folder / "source.npy"), np.load(folder / "target.npy")
    name: Any = None if first == "auto" else first
    if first != "float32":
        # Imported before the clock starts, as the textbook's FAISS is: it takes over a second.
        import torch  # noqa: F401
    used, began = time.process_time(), time.perf_counter()
    forward, backward = nearest_both(source, target, K, Search("shared", first=name))
    searched = time.perf_counter()
    pairs = select_pairs(forward, backward, Mining(K))
    ended = time.perf_counter()
    _tell(searched - began, ended - searched, used)
    np.savez(
        folder / "ours.npz",
        scores=pairs.scores,
        source=pairs.source,
        target=pairs.target,
        forward=forward.indices,
        forward_scores=forward.scores,
        backward=backward.indices,
        backward_scores=backward.scores,
    )


def run_textbook(folder: Path, _: str) -> None:
    """Normalise, search a flat index each way, score each candidate, take the best greedily."""
    import faiss
    import numpy as np

    source, target = np.load(folder / "source.npy"), np.load(folder / "target.npy")
    used, began = time.process_time(), time.perf_counter()
    faiss.normalize_L2(source)
    faiss.normalize_L2(target)
    forward_scores, forward = _flat_search(faiss, source, target)
    backward_scores, backward = _flat_search(faiss, target, source)
    searched = time.perf_counter()
    mean_source, mean_target = forward_scores.mean(axis=1), backward_scores.mean(axis=1)
    ahead = _score_pairs(source, target, forward, mean_source, mean_target)
    back = _score_pairs(target, source, backward, mean_target, mean_source)
    best_target = forward[np.arange(len(source)), ahead.argmax(axis=1)]
    best_source = backward[np.arange(len(target)), back.argmax(axis=1)]
    candidates = np.stack(
        [
            np.concatenate([np.arange(len(source)), best_source]),
            np.concatenate([best_target, np.arange(len(target))]),
        ],
        axis=1,
    )
    scores = np.concatenate([ahead.max(axis=1), back.max(axis=1)])
    seen_source, seen_target, chosen = set(), set(), []
    for place in np.argsort(-scores):
        left, right = candidates[place]
        if left not in seen_source and right not in seen_target:
            seen_source.add(left)
            seen_target.add(right)
            chosen.append(place)
    ended = time.perf_counter()
    _tell(searched - began, ended - searched, used)
    np.savez(
        folder / "textbook.npz",
        scores=scores[chosen],
        source=candidates[chosen, 0],
        target=candidates[chosen, 1],
        forward=forward,
        forward_scores=forward_scores,
        backward=backward,
        backward_scores=backward_scores,
    )


def _tell(search: float, after: float, used: float) -> None:
    """Print what a child measured; ``used`` is its processors' time when it began."""
    told = {"search": search, "after": after, "processors": time.process_time() - used}
    print(json.dumps({**told, "peak": _peak_memory()}))


def _flat_search(faiss: Any, queries: Any, corpus: Any) -> Any:
    index = faiss.IndexFlatIP(corpus.shape[1])
    index.add(corpus)
    return index.search(queries, K)


def _score_pairs(queries: Any, corpus: Any, found: Any, own: Any, theirs: Any) -> Any:
    import numpy as np

    scores = np.zeros(found.shape)
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            other = found[i, j]
            scores[i, j] = queries[i].dot(corpus[other]) / ((own[i] + theirs[other]) / 2)
    return scores


def agree(folder: Path, _: str) -> None:
    """Whether both found the same pairs, but for what the textbook's float32 cannot tell apart."""
    import numpy as np

    ours, textbook = (dict(np.load(folder / f"{name}.npz")) for name in ("ours", "textbook"))
    scored = [_scored(found) for found in (ours, textbook)]
    gap = max(
        abs(scored[0][pair] - scored[1][pair]) for pair in scored[0].keys() & scored[1].keys()
    )
    only = [
        {pair: side[pair] for pair in side.keys() - other.keys()}
        for side, other in (scored, scored[::-1])
    ]
    undecided = {name: _undecided(ours, textbook, name) for name in ("forward", "backward")}
    rest = unexplained(only[0], only[1], undecided["forward"], undecided["backward"])
    print(
        json.dumps(
            {
                "ours": len(scored[0]),
                "textbook": len(scored[1]),
                "gap": gap,
                "different": len(only[0]) + len(only[1]),
                "unexplained": len(rest),
            }
        )
    )


def sampled(folder: Path, _: str) -> None:
    """Whether some rows' neighbours are those of float64."""
    import numpy as np

    sides = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("source", "target")]
    ours = np.load(folder / "ours.npz")
    places = np.linspace(0, len(sides[0]) - 1, SAMPLED).astype(np.int64)
    different = 0
    for direction, (queries, corpus) in {"forward": sides, "backward": sides[::-1]}.items():
        rows = queries[places].astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        scores = np.empty((SAMPLED, len(corpus)))
        for start in range(0, len(corpus), 1 << 14):
            part = corpus[start : start + (1 << 14)].astype(np.float64)
            scores[:, start : start + len(part)] = rows @ part.T / np.linalg.norm(part, axis=1)
        best = np.argsort(-np.round(scores, 10), axis=1, kind="stable")[:, :K]
        different += int((best != ours[direction][places]).any(axis=1).sum())
    print(json.dumps({"sampled": 2 * SAMPLED, "different": different}))


def _scored(found: dict[str, Any]) -> Scored:
    pairs = zip(found["source"].tolist(), found["target"].tolist(), strict=True)
    return dict(zip(pairs, found["scores"].tolist(), strict=True))


def _undecided(ours: dict[str, Any], textbook: dict[str, Any], side: str) -> set[int]:
    """Rows whose k-th neighbour is another one, no more than a float32 rounding better or worse."""
    import numpy as np

    differ = (np.sort(ours[side], axis=1) != np.sort(textbook[side], axis=1)).any(axis=1)
    close = np.abs(ours[f"{side}_scores"][:, -1] - textbook[f"{side}_scores"][:, -1]) < TIE
    return set(np.flatnonzero(differ & close).tolist())


def unexplained(ours: Scored, textbook: Scored, sources: set[int], targets: set[int]) -> set[Pair]:
    """Pairs that only one side found, without those that follow from a choice between equals.

    Equals are two candidates of one sentence with one score, or neighbours at place k of a row in
    ``sources`` or ``targets``. What such a choice leaves free may be chosen next, so what touches
    an explained pair is explained.

    Example:
        >>> unexplained({(0, 1): 1.2, (5, 6): 1.1}, {(0, 2): 1.2 + 1e-7}, set(), set())
        {(5, 6)}
    """
    tied = {
        pair for pair in ours.keys() | textbook.keys() if pair[0] in sources or pair[1] in targets
    }
    for one, score in ours.items():
        for other, near in textbook.items():
            if _touch(one, other) and abs(score - near) < TIE:
                tied |= {one, other}
    rest = (ours.keys() | textbook.keys()) - tied
    while follow := {pair for pair in rest if any(_touch(pair, other) for other in tied)}:
        tied, rest = follow, rest - follow
    return rest


def _touch(one: Pair, other: Pair) -> bool:
    return one[0] == other[0] or one[1] == other[1]


def _timed(work: Any, clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return clock() - began


def _peak_memory() -> float:
    """Highest resident memory of this process so far, in GiB."""
    # ru_maxrss survives exec and would show a larger parent; VmHWM does not.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 2**20
    raise SystemExit("the peak memory of a process can be read on Linux only")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


CHILDREN = {
    "data": make_data,
    "peak": measure_peak,
    "ours": run_ours,
    "textbook": run_textbook,
    "agree": agree,
    "sampled": sampled,
}


if __name__ == "__main__":
    main()
