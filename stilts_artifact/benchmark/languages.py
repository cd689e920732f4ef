"""The languages of the benchmarks, and how upstream files name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Naming:
    """What the languages of a benchmark are, and what upstream calls them.

    Args:
        name: of the benchmark.
        source_language: the language of all training data.
        names: every language, by code.
        tatoeba: upstream's code of a language in Tatoeba file names, English's included.
        tydiqa: upstream's name of a language in TyDi QA ids.
        ntrex: upstream's code of a language in NTREX-128 file names, English's included.
        translated: languages into which some intermediate training data exist in translation.
        further: languages, by code, that a study evaluates and the benchmark itself does not have;
            there is no running text of them.
        tasks: names of the tasks that it has; ``None`` for all.
    """

    name: str
    source_language: str
    names: Mapping[str, str]
    tatoeba: Mapping[str, str]
    tydiqa: Mapping[str, str]
    ntrex: Mapping[str, str]
    translated: tuple[str, ...]
    further: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] | None = None


def _table(text: str) -> dict[str, str]:
    """Pairs ``key=value`` separated by white space."""
    return dict(pair.split("=") for pair in text.split())


XTREME = Naming(
    name="xtreme",
    source_language="en",
    names=_table(
        "af=Afrikaans ar=Arabic bg=Bulgarian bn=Bengali de=German el=Greek en=English "
        "es=Spanish et=Estonian eu=Basque fa=Persian fi=Finnish fr=French he=Hebrew hi=Hindi "
        "hu=Hungarian id=Indonesian it=Italian ja=Japanese jv=Javanese ka=Georgian kk=Kazakh "
        "ko=Korean ml=Malayalam mr=Marathi ms=Malay my=Burmese nl=Dutch pt=Portuguese "
        "ru=Russian sw=Swahili ta=Tamil te=Telugu th=Thai tl=Tagalog tr=Turkish ur=Urdu "
        "vi=Vietnamese yo=Yoruba zh=Chinese"
    ),
    # XTREME utils_preprocess.py:376-391 at 838c13b.
    tatoeba=_table(
        "af=afr ar=ara bg=bul bn=ben de=deu el=ell en=eng es=spa et=est eu=eus fa=pes fi=fin "
        "fr=fra he=heb hi=hin hu=hun id=ind it=ita ja=jpn jv=jav ka=kat kk=kaz ko=kor ml=mal "
        "mr=mar nl=nld pt=por ru=rus sw=swh ta=tam te=tel th=tha tl=tgl tr=tur ur=urd vi=vie "
        "zh=cmn"
    ),
    tydiqa=_table(
        "ar=arabic bn=bengali en=english fi=finnish id=indonesian ko=korean ru=russian "
        "sw=swahili te=telugu"
    ),
    # LANGUAGES.tsv of MicrosoftTranslator/NTREX at 8561f6a; of Javanese there is none.
    ntrex=_table(
        "af=afr ar=arb bg=bul bn=ben de=deu el=ell en=eng es=spa et=est eu=eus fa=fas fi=fin "
        "fr=fra he=heb hi=hin hu=hun id=ind it=ita ja=jpn ka=kat kk=kaz ko=kor ml=mal mr=mar "
        "ms=msa my=mya nl=nld pt=por ru=rus sw=swa ta=tam te=tel th=tha tl=fil tr=tur ur=urd "
        "vi=vie yo=yor zh=zho-CN"
    ),
    translated=(),
    # XTREME-R's: of parts of speech lt pl ro uk wo, of names all but Wolof.
    further=_table(
        "az=Azerbaijani gu=Gujarati lt=Lithuanian pa=Punjabi pl=Polish qu=Quechua ro=Romanian "
        "uk=Ukrainian wo=Wolof"
    ),
)

_MINI_PIVOT = "qen"
_MINI_OTHERS = ("qaa", "qab", "qac", "qad", "qae", "qaf", "qag")
_MINI_ALL = (*_MINI_OTHERS, _MINI_PIVOT)
_AS_CODED = {code: code for code in _MINI_ALL}

# Private-use codes of ISO 639-2, so that no real language can be meant.
MINI = Naming(
    name="mini",
    source_language=_MINI_PIVOT,
    names={code: f"invented language {code}" for code in _MINI_ALL},
    tatoeba=_AS_CODED,
    tydiqa=_AS_CODED,
    ntrex=_AS_CODED,
    translated=("qab", "qad", "qaf"),
)

FAMILY_CODES = tuple(f"qb{letter}" for letter in "abcdefghijklmnopqrstuvwx")
_FAMILY_ALL = (*FAMILY_CODES, _MINI_PIVOT)
_FAMILY_AS_CODED = {code: code for code in _FAMILY_ALL}

# What the validation of the studies trains on and scores; the properties of its languages are
# crossed.
FAMILY = Naming(
    name="family",
    source_language=_MINI_PIVOT,
    names={code: f"invented language {code}" for code in _FAMILY_ALL},
    tatoeba=_FAMILY_AS_CODED,
    tydiqa=_FAMILY_AS_CODED,
    ntrex=_FAMILY_AS_CODED,
    translated=(),
    tasks=("mnli", "xnli", "udpos", "panx", "tatoeba", "ud_feats", "ud_upos", "ud_shuffled"),
)
