"""Made-up studies: records and tables as an analysis would leave them, on real languages."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.results import CellRecord, Results, row_records
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import Finding, Premise, Verdict
from stilts_artifact.studies.protocol import HypothesisDefinition, Protocol, parse_protocol
from stilts_artifact.studies.record import (
    COVARIATES,
    COVARIATES_HEADER,
    EFFECTS,
    EFFECTS_HEADER,
    SPECIFICATIONS,
    SPECIFICATIONS_HEADER,
    FitRecord,
    HypothesisRecord,
    PowerRecord,
    PremiseRecord,
    StudyRecord,
    ValidationRecord,
)

LANGUAGES = """
af Afrikaans Indo-European/Germanic -1.5 -1.2
ar Arabic Afro-Asiatic/Semitic 0.7 0.3
bg Bulgarian Indo-European/Slavic -0.3 0.6
bn Bengali Indo-European/Indic 0.6 -0.7
de German Indo-European/Germanic -0.4 1.0
el Greek Indo-European/Greek -0.8 0.4
es Spanish Indo-European/Romance -1.4 0.9
et Estonian Uralic/Finnic 1.1 -0.3
eu Basque Basque/Basque 0.7 -0.9
fa Persian Indo-European/Iranian -0.9 1.1
fi Finnish Uralic/Finnic 1.5 0.9
fr French Indo-European/Romance -0.9 0.9
he Hebrew Afro-Asiatic/Semitic 1.0 0.5
hi Hindi Indo-European/Indic -1.4 -0.1
hu Hungarian Uralic/Ugric 0.5 0.9
id Indonesian Austronesian/Malayo-Sumbawan -0.5 1.5
it Italian Indo-European/Romance -0.7 0.6
ka Georgian Kartvelian/Kartvelian 1.2 -0.7
kk Kazakh Altaic/Turkic 1.4 -0.7
ko Korean Korean/Korean 1.8 0.9
ml Malayalam Dravidian/Dravidian 1.7 -0.9
mr Marathi Indo-European/Indic 0.8 -1.3
ms Malay Austronesian/Malayo-Sumbawan -0.5 -0.1
nl Dutch Indo-European/Germanic -1.3 0.6
pt Portuguese Indo-European/Romance -0.9 0.9
ru Russian Indo-European/Slavic 0.5 1.6
sw Swahili Niger-Congo/Bantu -0.7 -1.1
ta Tamil Dravidian/Dravidian 1.4 -0.6
te Telugu Dravidian/Dravidian 1.1 -1.0
tl Tagalog Austronesian/Greater_Central_Philippine -1.5 -0.8
tr Turkish Altaic/Turkic 1.1 0.4
ur Urdu Indo-European/Indic -1.6 -0.7
vi Vietnamese Austro-Asiatic/Vietic -1.4 1.3
"""
"""Code, name, family/genus, z of complexity and of the amount of data, as they roughly are."""

SPLIT = [line.split() for line in LANGUAGES.strip().splitlines()]
NO_EVIDENCE = {"H1": Finding.NOT_EVALUATED}
EXCLUDED = {"zh": "no spaces between words: no word-based measure is valid", "yo": "not in CC-100"}


def protocol(study: str) -> Protocol:
    """The protocol that ships."""
    path = expected_root() / "studies" / f"{study}.yaml"
    return parse_protocol(path.read_bytes(), str(path))


def record(
    study: str, findings: Sequence[Finding] = (Finding.NOT_SUPPORTED, Finding.INCONCLUSIVE)
) -> StudyRecord:
    """A whole analysis; the hypotheses have the findings in turn."""
    defined = protocol(study)
    hypotheses = [
        hypothesis(one, findings[number % len(findings)])
        for number, one in enumerate(defined.hypotheses)
    ]
    return StudyRecord(
        study=study,
        protocol="ab" * 32,
        altered=False,
        finding=hypotheses[0].finding,
        premise=PremiseRecord(
            statement=defined.premise.statement,
            finding=Premise.NOT_MET,
            reason="the interval is below 0",
            estimate=-0.91,
            low=-1.62,
            high=-0.2,
        ),
        hypotheses=hypotheses,
        excluded=EXCLUDED,
        notes=["CCG is licensed and was not run"],
    )


def mini_record(study: str) -> StudyRecord:
    """An analysis of invented languages: only the pipeline is judged."""
    found = record(study, [Finding.NOT_EVALUATED])
    validation = ValidationRecord(
        name="a planted slope of -0.8 points",
        planted=-0.8,
        recovered=-0.84,
        spread=0.4,
        allowed=0.2,
        repetitions=100,
        passed=True,
    )
    null = ValidationRecord(
        name="nothing planted",
        planted=0,
        recovered=0.02,
        spread=0.2,
        allowed=0.1,
        repetitions=100,
        passed=True,
    )
    update = {"finding": Finding.PIPELINE_VALID, "validations": [validation, null]}
    return found.model_copy(update=update)


def hypothesis(defined: HypothesisDefinition, finding: Finding) -> HypothesisRecord:
    """A hypothesis that was evaluated in every scale of its protocol."""
    fits = [
        FitRecord(
            scale=scale,
            estimate=-0.12,
            standard_error=0.3,
            low=-0.71,
            high=0.48,
            p=0.68,
            p_corrected=1.0,
            p_bound=0.003,
            languages=33,
            genera=18,
            seeds=5,
            between_languages=1.0,
            between_genera=0.6,
        )
        for scale in defined.scales
    ]
    families = dict.fromkeys(kind.partition("/")[0] for _, _, kind, *_ in SPLIT)
    chance = random.Random(defined.id)
    return HypothesisRecord(
        id=defined.id,
        statement=defined.statement,
        delta=defined.delta,
        primary=defined.primary,
        finding=finding,
        reason=f"an effect of {defined.delta:g} or more is excluded (p = 0.003)",
        fits=fits,
        without={name: chance.gauss(-0.1, 0.1) for name in families},
        seeds=[chance.gauss(-0.1, 0.2) for _ in range(5)],
        same_sign=0.54,
        specifications=336,
        power=[
            PowerRecord(true=0.0, supported=0.01, not_supported=0.99, inconclusive=0.0),
            PowerRecord(true=-1.0, supported=0.93, not_supported=0.05, inconclusive=0.02),
        ],
    )


def write_tables(folder: Path, study: str) -> None:
    """The three tables of a study, in the form of those that are published."""
    defined = protocol(study)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / EFFECTS, EFFECTS_HEADER, _effects(defined))
    _write(folder / COVARIATES, COVARIATES_HEADER, _covariates())
    _write(folder / SPECIFICATIONS, SPECIFICATIONS_HEADER, _specifications(defined))


def _effects(defined: Protocol) -> Iterable[tuple[object, ...]]:
    for name in defined.effects:
        chance = random.Random(f"{defined.study}/{name}")
        scales = {s for one in defined.hypotheses if one.effect == name for s in one.scales}
        for scale in sorted(scales):
            for code, _, kind, complexity, data in SPLIT:
                family, genus = kind.replace("_", " ").split("/")
                value = -0.3 * float(complexity) - 0.2 * float(data) + chance.gauss(-0.9, 1)
                error = 0.3 + abs(chance.gauss(0, 0.2))
                fields = (code, family, genus, value, error, error * 0.8, 0.2, 62.0, "0.1 0.2")
                yield (name, scale, *fields)


def _covariates() -> Iterable[tuple[object, ...]]:
    for code, name, kind, complexity, data in SPLIT:
        family, genus = kind.replace("_", " ").split("/")
        for covariate, z in (("complexity", complexity), ("data", data), ("subwords", data)):
            yield code, name, family, genus, covariate, z, z, "made up"
    yield "yo", "Yoruba", "Niger-Congo", "Defoid", "data", "", "", "not in CC-100"


def _specifications(defined: Protocol) -> Iterable[tuple[object, ...]]:
    for one in defined.hypotheses:
        chance = random.Random(one.id)
        for scale in one.scales:
            for index in defined.robustness.indices:
                for controls in defined.robustness.controls:
                    for group in ("all", *defined.robustness.subsets):
                        held = "+".join(controls) or "none"
                        estimate = chance.gauss(0, 0.4)
                        yield one.id, index, held, group, scale, estimate, 0.3, 33


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def results(study: str, scale: str = "paper", found: StudyRecord | None = None) -> Results:
    """A results file with an analysis and some of the cells behind it."""
    experiment = EXPERIMENTS[f"study-{study}"]
    benchmark = load_benchmark("mini" if scale == "mini" else "xtreme")
    rows = row_records(experiment, benchmark)[:3]
    own = found if found is not None else record(study)
    return Results(
        experiment=experiment.name,
        scale=scale,
        scale_reason="asked for by name",
        stamp=load_scale(scale).stamp,
        verdict=own.finding,
        rows=rows,
        cells=[
            _cell(row.row, task.name, language)
            for row in rows
            for task in experiment.targets(benchmark)
            for language in (None, *task.languages_of(experiment.scored_split(task)))
        ],
        claims=[],
        seeds=[1, 2, 3, 4, 5],
        inputs=[],
        environment={},
        study=own,
    )


def _cell(row: str, column: str, language: str | None) -> CellRecord:
    chance = random.Random(f"{row}/{column}/{language}")
    return CellRecord(
        row=row,
        column=column,
        language=language,
        value=round(chance.uniform(40, 80), 2),
        expected=None,
        limit=None,
        verdict=Verdict.NOT_CHECKABLE,
        reason="no public source states this cell",
        signature=f"{column}|split:test|lang:de|metric:score|scale:paper|v:0.1.0",
    )
