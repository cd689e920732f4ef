"""Every upstream file of the real benchmark: where it is, what its bytes must be, its licence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from stilts_artifact.benchmark.languages import XTREME
from stilts_artifact.benchmark.pins import Pin, read_pins
from stilts_artifact.benchmark.tasks import UD_FURTHER, treebanks
from stilts_artifact.domain.tasks import Member, Source
from stilts_artifact.errors import ConfigError

BY_URL = (
    "Download it from its url and put it into a --data folder; any file with this sha256 is taken, "
    "whatever its name."
)

_LASER = "https://github.com/facebookresearch/LASER/raw/main/data/tatoeba/v1/{file}"
# Branches move; these commits have the pinned bytes (of Cosmos QA's, only valid.csv could be
# compared).
_RAW = "https://raw.githubusercontent.com"
_LASER_COMMIT = "74bc6ae7ffb7cba670fe0f428d0ede9f666fb821"
_LASER_PINNED = f"{_RAW}/facebookresearch/LASER/{_LASER_COMMIT}/data/tatoeba/v1/{{file}}"
_XQUAD_PINNED = f"{_RAW}/google-deepmind/xquad/7d30520c717524000f0d9d2f9c10a069acd9d285/{{file}}"
_COSMOS_PINNED = f"{_RAW}/wilburOne/cosmosqa/b6eb99cca4e2a51dd28a9a6f562534872d851639/data/{{file}}"
_NTREX_PINNED = f"{_RAW}/MicrosoftTranslator/NTREX/8561f6a622db9edad1217683e5c83daefd8bb2bf"
_SQUAD = (
    "https://rajpurkar.github.io/SQuAD-explorer/dataset/{file}",
    "https://raw.githubusercontent.com/rajpurkar/SQuAD-explorer/master/dataset/{file}",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the files come from whose names match a pattern.

    Args:
        pattern: of source names, as :func:`fnmatch.fnmatchcase` reads it.
        pinned_in: folder below ``datasets/`` of huggingface/datasets whose dataset_infos.json has
            the hashes; ``None`` where the url names the commit that has these bytes.
        urls: ``{file}`` stands for the name without its folder.
        licence: as the publisher, or else the place named, states it.
    """

    pattern: str
    pinned_in: str | None
    urls: tuple[str, ...]
    licence: str
    obtain: str = BY_URL


ORIGINS = (
    Origin(
        "MNLI.zip",
        "glue",
        ("https://dl.fbaipublicfiles.com/glue/data/{file}",),
        "OANC licence, with parts under CC BY 3.0 and CC BY-SA 3.0",
    ),
    Origin(
        "snli_1.0.zip", "snli", ("https://nlp.stanford.edu/projects/snli/{file}",), "CC BY-SA 4.0"
    ),
    Origin(
        "anli_v0.1.zip", "anli", ("https://dl.fbaipublicfiles.com/anli/{file}",), "CC BY-NC 4.0"
    ),
    Origin(
        "QQP-clean.zip",
        "glue",
        ("https://dl.fbaipublicfiles.com/glue/data/{file}",),
        "Quora's terms of use",
    ),
    Origin("squad/*-v1.1.json", "squad", _SQUAD, "CC BY-SA 4.0"),
    Origin("squad/*-v2.0.json", "squad_v2", _SQUAD, "CC BY-SA 4.0"),
    Origin(
        "hellaswag_*.jsonl",
        "hellaswag",
        ("https://github.com/rowanz/hellaswag/raw/master/data/{file}",),
        "MIT",
    ),
    Origin(
        "cosmosqa/*.csv",
        "cosmos_qa",
        ("https://github.com/wilburOne/cosmosqa/raw/master/data/{file}", _COSMOS_PINNED),
        "CC BY 4.0 (dataset card; the repository has no licence file)",
    ),
    Origin(
        "commonsenseqa/*.jsonl",
        "commonsense_qa",
        ("https://s3.amazonaws.com/commensenseqa/{file}",),
        "MIT",
    ),
    Origin("XNLI-1.0.zip", "xnli", ("https://dl.fbaipublicfiles.com/XNLI/{file}",), "CC BY-NC 4.0"),
    Origin(
        "x-final.tar.gz",
        "paws-x",
        ("https://storage.googleapis.com/paws/pawsx/{file}",),
        "free for any purpose, acknowledgement of Google LLC appreciated",
    ),
    Origin(
        "ud-treebanks-v2.5.tgz",
        "xtreme",
        ("https://lindat.mff.cuni.cz/repository/xmlui/bitstream/handle/11234/1-3105/{file}",),
        "Universal Dependencies v2.5: each treebank its own (CC BY-SA, CC BY-NC-SA, ...)",
        BY_URL
        + " For English, and for the tests of some languages, the CoNLL-U files of tag r2.5 of the "
        "UD_* repositories do as well.",
    ),
    Origin(
        "panx_dataset.zip",
        "wikiann",
        ("https://s3.amazonaws.com/datasets.huggingface.co/wikiann/1.1.0/{file}",),
        "none stated (Wikipedia text: CC BY-SA)",
        "Its first home (AmazonPhotos.zip on Amazon Drive) is gone: download the mirror named "
        "here, or put any copy with this sha256 into a --data folder, whatever its name.",
    ),
    Origin(
        "xquad.*.json",
        "xquad",
        ("https://github.com/deepmind/xquad/raw/master/{file}", _XQUAD_PINNED),
        "CC BY-SA 4.0",
    ),
    Origin("MLQA_V1.zip", "mlqa", ("https://dl.fbaipublicfiles.com/MLQA/{file}",), "CC BY-SA 3.0"),
    Origin(
        "tydiqa-goldp-v1.1-*.json",
        "tydiqa",
        ("https://storage.googleapis.com/tydiqa/v1.1/{file}",),
        "Apache-2.0 (Wikipedia passages: CC BY-SA)",
    ),
    Origin(
        "bucc2018-*.tar.bz2",
        "xtreme",
        ("https://comparable.limsi.fr/bucc2018/{file}",),
        "none stated",
        BY_URL + " If the host does not answer, retry later or name a mirror with --mirror.",
    ),
    Origin(
        "tatoeba.*",
        "xtreme",
        (_LASER, _LASER_PINNED),
        "tatoeba.org terms of use (CC BY 2.0 FR by default)",
    ),
    Origin(
        "ntrex/newstest2019-*.txt", None, (f"{_NTREX_PINNED}/NTREX-128/{{file}}",), "CC BY-SA 4.0"
    ),
    Origin("ntrex/DOCUMENT_IDS.tsv", None, (f"{_NTREX_PINNED}/{{file}}",), "CC BY-SA 4.0"),
)

CCGBANK = Source(
    name="ccgbank_1_1.tgz",
    urls=(),
    bytes=None,
    sha256=None,
    licence="LDC User Agreement",
    obtain="Order CCGbank 1.1 (LDC2005T13) from the Linguistic Data Consortium, "
    "https://catalog.ldc.upenn.edu/LDC2005T13, and put its folder ccgbank_1_1/, packed as "
    "ccgbank_1_1.tgz, into a --data folder.",
    pinned_by="no public pin: the hash of the copy used is recorded with the result",
)


# Its size is published nowhere; its sha256 stands where the archive of r2.5 has the one that
# huggingface/datasets has, too.
FURTHER_TREEBANKS = Source(
    name=UD_FURTHER,
    urls=(
        f"https://lindat.mff.cuni.cz/repository/xmlui/bitstream/handle/11234/1-3424/{UD_FURTHER}",
    ),
    bytes=None,
    sha256="ee61f186ac5701440f9d2889ca26da35f18d433255b5a188b0df30bc1525502b",
    licence="Universal Dependencies v2.7: each treebank its own (CC BY-SA 4.0; CC BY-NC-SA 4.0 of "
    "Polish-PDB and Ukrainian-IU; GNU GPL 3.0 of Polish-LFG)",
    obtain="Download it from its url and put it into a --data folder under this name. For Polish, "
    "Romanian, Ukrainian and Wolof the CoNLL-U files of tag r2.7 of the UD_* repositories do as "
    "well.",
    pinned_by="pyconll/pyconll at 0ef0b5d2dc: tests/int/corpora.py; its treebanks by "
    "huggingface/datasets at 040102f100: datasets/universal_dependencies/dataset_infos.json",
)


def wikipedia(language: str) -> Source:
    """Running text for masked language modelling. The paper's own selection was never published."""
    return Source(
        name=f"wikipedia.{language}.txt",
        urls=(),
        bytes=None,
        sha256=None,
        licence="CC BY-SA 3.0 and later",
        obtain=f"Extract plain text from a dump of the {language} Wikipedia, one paragraph a line, "
        f"and put it into a --data folder as wikipedia.{language}.txt.",
        pinned_by="no public pin: the hash of the copy used is recorded with the result",
    )


# Members that list every file of UD r2.5 which gives sentences for the pattern. English-ESL was
# published without its words (``_``), and XTREME drops such sentences, so English is complete
# without it: 21,253, 3,974 and 5,440 sentences. The other languages have one treebank with a test
# set each; its size is the size that huggingface/datasets counted.
UD_COMPLETE = (
    *(treebanks("en", split) for split in ("train", "dev", "test")),
    *(
        treebanks(language, "test")
        for language in ("bg", "eu", "he", "hu", "kk", "ta", "te", "th", "vi")
    ),
)
# Of r2.7 all but Lithuanian, of which the treebank HSE is known by no public hash.
UD_FURTHER_COMPLETE = tuple(
    treebanks(language, split, "2.7")
    for language in ("pl", "ro", "uk", "wo")
    for split in ("dev", "test")
)
_COMPLETE = {"ud-treebanks-v2.5.tgz": UD_COMPLETE, UD_FURTHER: UD_FURTHER_COMPLETE}


def upstream_sources() -> dict[str, Source]:
    """Every source of the real benchmark by name."""
    pins = read_pins("xtreme_pins.tsv")
    members: dict[str, list[Member]] = {}
    for name, pin in pins.items():
        archive, _, path = name.partition("!")
        members.setdefault(archive, []).extend(
            [Member(path, pin.bytes, pin.sha256)] if path else []
        )
    further = replace(
        FURTHER_TREEBANKS,
        members=tuple(members.pop(UD_FURTHER)),
        complete=_COMPLETE[UD_FURTHER],
    )
    sources = {name: _source(name, pins[name], tuple(found)) for name, found in members.items()}
    others = (further, CCGBANK, *map(wikipedia, XTREME.names))
    return {**sources, **{source.name: source for source in others}}


def _source(name: str, pin: Pin, members: tuple[Member, ...]) -> Source:
    origin = _origin(name)
    file = name.rpartition("/")[2]
    return Source(
        name=name,
        urls=tuple(url.format(file=file) for url in origin.urls),
        bytes=pin.bytes,
        sha256=pin.sha256,
        licence=origin.licence,
        obtain=origin.obtain,
        pinned_by="the commit that its url names"
        if origin.pinned_in is None
        else f"huggingface/datasets at 8803c182e6^: datasets/{origin.pinned_in}/dataset_infos.json",
        members=members,
        complete=_COMPLETE.get(name, ()),
    )


def _origin(name: str) -> Origin:
    for origin in ORIGINS:
        if fnmatchcase(name, origin.pattern):
            return origin
    raise ConfigError(
        "pinned file without an origin", where="stilts_artifact/benchmark/xtreme_pins.tsv", got=name
    )
