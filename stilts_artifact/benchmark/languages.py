"""The languages of the two worlds, and how upstream files name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Naming:
    """What differs between the worlds; the builders of the tasks take everything else for granted.

    Args:
        source_language: the language of all training data.
        names: every language of the world, by code.
        targets: languages of each target task, in its order.
        without_dev: languages whose treebanks have no dev split (UDPOS).
        tatoeba: upstream's code of a language in Tatoeba file names, the pivot's included.
        tydiqa: upstream's name of a language in TyDi QA ids.
        translated: languages into which some intermediate training data exist in translation.
    """

    source_language: str
    names: Mapping[str, str]
    targets: Mapping[str, tuple[str, ...]]
    without_dev: frozenset[str]
    tatoeba: Mapping[str, str]
    tydiqa: Mapping[str, str]
    translated: tuple[str, ...]


def _codes(text: str) -> tuple[str, ...]:
    """Codes separated by white space."""
    return tuple(text.split())


def _table(text: str) -> dict[str, str]:
    """Pairs ``key=value`` separated by white space."""
    return dict(pair.split("=") for pair in text.split())


# XTREME evaluate.py:141-154 at 838c13b has the languages of each task.
XTREME = Naming(
    source_language="en",
    names=_table(
        "af=Afrikaans ar=Arabic bg=Bulgarian bn=Bengali de=German el=Greek en=English es=Spanish et=Estonian "
        "eu=Basque fa=Persian fi=Finnish fr=French he=Hebrew hi=Hindi hu=Hungarian id=Indonesian it=Italian "
        "ja=Japanese jv=Javanese ka=Georgian kk=Kazakh ko=Korean ml=Malayalam mr=Marathi ms=Malay my=Burmese "
        "nl=Dutch pt=Portuguese ru=Russian sw=Swahili ta=Tamil te=Telugu th=Thai tl=Tagalog tr=Turkish ur=Urdu "
        "vi=Vietnamese yo=Yoruba zh=Chinese"
    ),
    targets={
        "xnli": _codes("ar bg de el en es fr hi ru sw th tr ur vi zh"),
        "pawsx": _codes("de en es fr ja ko zh"),
        "udpos": _codes(
            "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
        ),
        "panx": _codes(
            "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl "
            "tr ur vi yo zh"
        ),
        "xquad": _codes("ar de el en es hi ru th tr vi zh"),
        "mlqa": _codes("ar de en es hi vi zh"),
        "tydiqa": _codes("ar bn en fi id ko ru sw te"),
        "bucc2018": _codes("de fr ru zh"),
        "tatoeba": _codes(
            "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr ur vi "
            "zh"
        ),
    },
    without_dev=frozenset({"kk", "th", "tl", "yo"}),
    # XTREME utils_preprocess.py:376-391 at 838c13b.
    tatoeba=_table(
        "af=afr ar=ara bg=bul bn=ben de=deu el=ell en=eng es=spa et=est eu=eus fa=pes fi=fin fr=fra he=heb hi=hin "
        "hu=hun id=ind it=ita ja=jpn jv=jav ka=kat kk=kaz ko=kor ml=mal mr=mar nl=nld pt=por ru=rus sw=swh ta=tam "
        "te=tel th=tha tl=tgl tr=tur ur=urd vi=vie zh=cmn"
    ),
    tydiqa=_table(
        "ar=arabic bn=bengali en=english fi=finnish id=indonesian ko=korean ru=russian sw=swahili te=telugu"
    ),
    translated=(),
)

_MINI_PIVOT = "qen"
_MINI_OTHERS = ("qaa", "qab", "qac", "qad", "qae", "qaf", "qag")
_MINI_ALL = (*_MINI_OTHERS, _MINI_PIVOT)
_AS_CODED = {code: code for code in _MINI_ALL}

# Private-use codes of ISO 639-2, so that no real language can be meant.
MINI = Naming(
    source_language=_MINI_PIVOT,
    names={code: f"invented language {code}" for code in _MINI_ALL},
    targets={
        **dict.fromkeys(("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa"), _MINI_ALL),
        "bucc2018": ("qaa", "qac", "qae", "qag"),
        "tatoeba": _MINI_OTHERS,
    },
    without_dev=frozenset({"qag"}),
    tatoeba=_AS_CODED,
    tydiqa=_AS_CODED,
    translated=("qab", "qad", "qaf"),
)
