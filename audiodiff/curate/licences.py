"""What licences allow and demand, and which a policy takes; how messy text becomes SPDX, `spdx` says.

Nothing is guessed: text that does not name one licence, with its version, becomes "", and that is never accepted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from audiodiff.curate.spdx import PIXABAY, PUBLIC_DOMAIN, SAMPLING_PLUS, as_spdx, branches
from audiodiff.errors import ConfigError
from audiodiff.records import Lane

__all__ = ["LicenceVerdict", "Policy", "Terms", "as_spdx", "joint_terms", "judge_licence", "licences_in", "strictest",
           "terms_of"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """What a licence allows (commercial use, derivatives, passing the sound itself on) and demands (the rest).

    Cutting, resampling and degrading make derivatives. `known` is False where we have not read the licence.
    """

    commercial: bool = True
    derivatives: bool = True
    redistribution: bool = True
    share_alike: bool = False
    attribution: bool = False
    known: bool = True

    @property
    def demands(self) -> int:
        """How many things it forbids or demands, unknown terms more than all others together."""
        freedoms = (self.commercial, self.derivatives, self.redistribution)
        return freedoms.count(False) + self.share_alike + self.attribution + 9 * (not self.known)

    def __and__(self, other: Terms) -> Terms:
        """The terms of somebody who must meet both."""
        return Terms(
            self.commercial and other.commercial,
            self.derivatives and other.derivatives,
            self.redistribution and other.redistribution,
            self.share_alike or other.share_alike,
            self.attribution or other.attribution,
            self.known and other.known,
        )


FREE = Terms()
NOTICE = Terms(attribution=True)
COPYLEFT = Terms(attribution=True, share_alike=True)
UNKNOWN = Terms(commercial=False, derivatives=False, redistribution=False, known=False)

_FAMILIES = (
    (rf"CC0-1\.0|CC-PDDC|CC-PDM-1\.0|PDDL-1\.0|Unlicense|{PUBLIC_DOMAIN}", FREE),
    (r"Apache-2\.0|MIT|BSD-[23]-Clause|ISC|Zlib|ODC-By-1\.0|Artistic-2\.0", NOTICE),
    (r"[AL]?GPL-\d\.\d-(only|or-later)|GFDL-1\.\d(-no-invariants)?-(only|or-later)", COPYLEFT),
    (r"OFL-1\.[01]|ODbL-1\.0|LAL-1\.[23]", COPYLEFT),
    # section 3: samples in other works for money, the whole work for no money; a data set holds whole works
    (SAMPLING_PLUS, Terms(commercial=False, attribution=True)),
    # "not on a standalone basis": a data set does just that
    (PIXABAY, Terms(redistribution=False)),
)

Policy = Literal["commercial", "share-alike-ok", "non-commercial-ok", "public-domain", "any-known"]
"""What a data set may hold: `commercial` allows commercial use without share-alike, `share-alike-ok` with it,
`non-commercial-ok` anything that may be changed and passed on, `public-domain` only what demands nothing,
`any-known` also what may not be published."""

_SEVERITY = ("", "attribution_missing", "licence_unknown", "licence_forbidden")


@dataclass(frozen=True, slots=True)
class LicenceVerdict:
    """The lane a licence sends a clip to, the reason's code ("" if accepted) and the same in words."""

    lane: Lane
    reason: str
    message: str


def terms_of(licence: str) -> Terms:
    """What one licence, an SPDX identifier with or without an exception, allows and demands; UNKNOWN if not known."""
    name = licence.partition(" WITH ")[0]
    if found := re.fullmatch(r"(?:LicenseRef-)?CC((?:-(?:BY|NC|ND|SA))+)-\d\.\d(?:-[A-Z]+)?", name):
        parts = found[1].split("-")
        return Terms("NC" not in parts, "ND" not in parts, True, "SA" in parts, "BY" in parts)
    return next((terms for pattern, terms in _FAMILIES if re.fullmatch(pattern, name)), UNKNOWN)


def licences_in(spdx: str) -> tuple[str, ...]:
    """The licences that an expression names, sorted."""
    return tuple(sorted(set().union(*branches(spdx))))


def joint_terms(spdx: str) -> Terms:
    """What an expression allows and demands: of the licences it lets one choose from, that which asks for least."""
    joint = [functools.reduce(Terms.__and__, map(terms_of, branch)) for branch in branches(spdx)]
    return min(joint, key=lambda terms: terms.demands, default=UNKNOWN)


def judge_licence(spdx: str, attribution: str, policy: Policy) -> LicenceVerdict:
    """Hold an SPDX expression against a policy: of alternatives the best counts, of joint licences the worst.

    Forbidden is rejected; unknown, and an attribution that is due and missing, go to review. Raises ConfigError for an
    unknown policy.
    """
    if policy not in get_args(Policy):
        raise ConfigError(f"licence policy {policy!r} is unknown; known: {', '.join(get_args(Policy))}")

    def severity(licence: str) -> int:
        return _SEVERITY.index(_reason(terms_of(licence), attribution, policy))

    worst = [max(map(severity, branch)) for branch in branches(spdx)]
    reason = _SEVERITY[min(worst, default=_SEVERITY.index("licence_unknown"))]
    messages = {
        "": "",
        "attribution_missing": f"{spdx} asks for an attribution and none is known",
        "licence_unknown": f"what {spdx} allows is not known" if spdx else "no licence is known",
        "licence_forbidden": f"{spdx} does not fit the policy {policy}",
    }
    lanes = {"": Lane.ACCEPTED, "licence_forbidden": Lane.REJECTED}
    return LicenceVerdict(lanes.get(reason, Lane.REVIEW), reason, messages[reason])


def strictest(expressions: Iterable[str]) -> str:
    """A paragraph: what somebody who uses all of a set must heed, with the licences that ask for it, and all present.

    An empty expression stands for clips whose licence is not known.
    """
    present = sorted(set(expressions))
    terms = {spdx: joint_terms(spdx) for spdx in present if spdx}
    known = {spdx: found for spdx, found in terms.items() if found.known}
    rules = (
        ("Of unknown terms", [spdx for spdx in terms if spdx not in known]),
        ("No commercial use", [spdx for spdx, found in known.items() if not found.commercial]),
        ("No derivatives", [spdx for spdx, found in known.items() if not found.derivatives]),
        ("Not to be passed on by itself", [spdx for spdx, found in known.items() if not found.redistribution]),
        ("Derivatives of a clip stay under its licence", [s for s, found in known.items() if found.share_alike]),
        ("Attribution due", [spdx for spdx, found in known.items() if found.attribution]),
    )
    said = [f"{rule}: {', '.join(found)}." for rule, found in rules if found]
    unstated = ["The licence of some clips is not known."] if "" in present else []
    return " ".join([*unstated, *said, f"Licences: {', '.join(terms) or 'none'}."])


def _reason(terms: Terms, attribution: str, policy: Policy) -> str:
    if not terms.known:
        return "licence_unknown"
    if not _allowed(terms, policy):
        return "licence_forbidden"
    return "attribution_missing" if terms.attribution and not attribution.strip() else ""


def _allowed(terms: Terms, policy: Policy) -> bool:
    usable = terms.derivatives and terms.redistribution
    return {
        "commercial": usable and terms.commercial and not terms.share_alike,
        "share-alike-ok": usable and terms.commercial,
        "non-commercial-ok": usable,
        "public-domain": terms == FREE,
        "any-known": True,
    }[policy]
