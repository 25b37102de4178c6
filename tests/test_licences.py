"""What messy text says of a licence, what the licence allows, and which policy takes it."""

from __future__ import annotations

from typing import get_args

import pytest

from audiodiff.curate.licences import (
    FREE,
    UNKNOWN,
    Policy,
    Terms,
    as_spdx,
    joint_terms,
    judge_licence,
    licences_in,
    strictest,
    terms_of,
)
from audiodiff.errors import ConfigError
from audiodiff.records import Lane

SPELLINGS = {
    "CC BY 3.0": "CC-BY-3.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "CC Attribution 3.0": "CC-BY-3.0",
    "Attribution 4.0": "CC-BY-4.0",
    "Attribution NonCommercial 4.0": "CC-BY-NC-4.0",
    "Attribution 4.0 International (CC BY 4.0)": "CC-BY-4.0",
    "Creative Commons Attribution-NonCommercial-ShareAlike 3.0 Unported": "CC-BY-NC-SA-3.0",
    "Creative Commons 0": "CC0-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "https://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0",
    "http://creativecommons.org/publicdomain/mark/1.0/": "CC-PDM-1.0",
    "http://creativecommons.org/licenses/by/3.0/": "CC-BY-3.0",
    "https://creativecommons.org/licenses/by/3.0/us/legalcode": "CC-BY-3.0-US",
    "http://creativecommons.org/licenses/by-nc-sa/3.0/us/": "LicenseRef-CC-BY-NC-SA-3.0-US",
    "http://creativecommons.org/licenses/sampling+/1.0/": "LicenseRef-CC-Sampling-Plus-1.0",
    "Sampling+": "LicenseRef-CC-Sampling-Plus-1.0",
    "Public-Domain": "LicenseRef-Public-Domain",
    "PD": "LicenseRef-Public-Domain",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPLv2 or later": "GPL-2.0-or-later",
    "GNU General Public License v2.0": "GPL-2.0-only",
    "GNU GPL v3 or any later version": "GPL-3.0-or-later",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "AGPL-3+": "AGPL-3.0-or-later",
    "GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later",
    "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html": "GPL-2.0-only",
    "Expat": "MIT",
    "MIT License": "MIT",
    "https://opensource.org/licenses/MIT": "MIT",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD-3-clause": "BSD-3-Clause",
    "OFL-1.1": "OFL-1.1",
    "Pixabay Content License": "LicenseRef-Pixabay",
    "CC0-1.0 + CC-BY-3.0": "CC-BY-3.0 AND CC0-1.0",
    "CC0-1.0 + CC0-1.0": "CC0-1.0",
    "GPL-2+ and CC-BY-SA-3.0": "CC-BY-SA-3.0 AND GPL-2.0-or-later",
    "CC-BY-3.0 or CC-BY-SA-3.0 or GPL-2+": "CC-BY-3.0 OR CC-BY-SA-3.0 OR GPL-2.0-or-later",
    "CC-BY-3.0 or GPL-2+ (per file, see package copyright)": "CC-BY-3.0 AND GPL-2.0-or-later",
    "GPL-2+ or (MIT and CC0)": "GPL-2.0-or-later OR (CC0-1.0 AND MIT)",
    "GPL-2+ with Classpath-exception-2.0": "GPL-2.0-or-later WITH Classpath-exception-2.0",
}

UNCLEAR = (
    "", "CC-BY (version not stated)", "Attribution", "Creative Commons", "CC-BY-5.0", "CC-BY-ND-SA-3.0", "GPL", "BSD",
    "GFDL-1.3 / GPL-2", "CC0-1.0, CC-BY-3.0", "GPL-2+ with font exception", "MIT or foo", "MIT and", "(c) me", "free",
    "none", "NOASSERTION", "All rights reserved", "https://example.org/licenses/by/3.0/", "GPL-2+ or MIT, and CC0",
)  # fmt: skip


@pytest.mark.parametrize(("given", "spdx"), SPELLINGS.items())
def test_a_licence_is_recognised_however_it_is_spelt(given: str, spdx: str) -> None:
    assert as_spdx(given) == spdx
    assert as_spdx(spdx) == spdx


@pytest.mark.parametrize("given", UNCLEAR)
def test_nothing_is_guessed(given: str) -> None:
    assert as_spdx(given) == ""


def test_what_licences_allow_and_demand() -> None:
    assert terms_of("CC0-1.0") == terms_of("LicenseRef-Public-Domain") == FREE
    assert terms_of("CC-BY-4.0") == terms_of("MIT") == Terms(attribution=True)
    assert terms_of("CC-BY-SA-3.0") == terms_of("GPL-2.0-only") == Terms(attribution=True, share_alike=True)
    assert terms_of("CC-BY-NC-ND-3.0") == Terms(commercial=False, derivatives=False, attribution=True)
    assert terms_of("LicenseRef-CC-BY-NC-SA-3.0-US") == terms_of("CC-BY-NC-SA-4.0")
    assert terms_of("GPL-2.0-or-later WITH Classpath-exception-2.0") == terms_of("GPL-2.0-or-later")
    assert terms_of("LicenseRef-Mine") == terms_of("") == UNKNOWN


LANES = {  # commercial, share-alike-ok, non-commercial-ok, public-domain, any-known
    "CC0-1.0": "AAAAA",
    "LicenseRef-Public-Domain": "AAAAA",
    "CC-BY-3.0": "AAAJA",
    "Apache-2.0": "AAAJA",
    "CC-BY-SA-3.0": "JAAJA",
    "GPL-3.0-or-later": "JAAJA",
    "CC-BY-NC-4.0": "JJAJA",
    "LicenseRef-CC-Sampling-Plus-1.0": "JJAJA",
    "CC-BY-ND-4.0": "JJJJA",
    "LicenseRef-Pixabay": "JJJJA",
    "GPL-2.0-only OR CC-BY-3.0": "AAAJA",
    "GPL-2.0-only AND CC-BY-3.0": "JAAJA",
    "CC0-1.0 AND LicenseRef-Mine": "RRRRR",
    "GPL-2.0-only AND LicenseRef-Mine": "JRRJR",
    "GPL-2.0-only OR LicenseRef-Mine": "RAARA",
    "LicenseRef-Mine": "RRRRR",
    "no SPDX": "RRRRR",
    "": "RRRRR",
}


@pytest.mark.parametrize(("spdx", "lanes"), LANES.items())
def test_policies(spdx: str, lanes: str) -> None:
    letters = {"A": Lane.ACCEPTED, "R": Lane.REVIEW, "J": Lane.REJECTED}
    verdicts = [judge_licence(spdx, "Jane Doe", policy) for policy in get_args(Policy)]
    assert [verdict.lane for verdict in verdicts] == [letters[letter] for letter in lanes]
    reasons = {Lane.ACCEPTED: "", Lane.REVIEW: "licence_unknown", Lane.REJECTED: "licence_forbidden"}
    assert [verdict.reason for verdict in verdicts] == [reasons[verdict.lane] for verdict in verdicts]


def test_an_attribution_that_is_due_and_missing_goes_to_review() -> None:
    verdict = judge_licence("CC-BY-3.0", "  ", "commercial")
    assert (verdict.lane, verdict.reason) == (Lane.REVIEW, "attribution_missing")
    assert "CC-BY-3.0" in verdict.message
    assert judge_licence("CC-BY-3.0 OR CC0-1.0", "", "commercial").lane is Lane.ACCEPTED
    assert judge_licence("CC-BY-3.0 AND LicenseRef-Mine", "", "commercial").reason == "licence_unknown"


def test_an_unknown_policy_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="share-alike-ok"):
        judge_licence("MIT", "", "strict")  # type: ignore[arg-type]


def test_joint_terms_take_the_mildest_alternative_and_all_that_is_joined() -> None:
    assert joint_terms("GPL-2.0-only OR CC0-1.0") == FREE
    assert joint_terms("CC-BY-NC-3.0 AND CC-BY-SA-3.0") == Terms(commercial=False, share_alike=True, attribution=True)
    assert licences_in("MIT AND (CC0-1.0 OR MIT)") == ("CC0-1.0", "MIT")


def test_the_strictest_terms_name_the_licences_that_ask_for_them() -> None:
    said = strictest(["CC-BY-NC-3.0", "CC0-1.0", "", "CC-BY-SA-3.0", "CC0-1.0", "LicenseRef-Mine"])
    assert "The licence of some clips is not known." in said
    assert "Of unknown terms: LicenseRef-Mine." in said
    assert "No commercial use: CC-BY-NC-3.0." in said
    assert "Derivatives of a clip stay under its licence: CC-BY-SA-3.0." in said
    assert "Attribution due: CC-BY-NC-3.0, CC-BY-SA-3.0." in said
    assert said.endswith("Licences: CC-BY-NC-3.0, CC-BY-SA-3.0, CC0-1.0, LicenseRef-Mine.")
    assert strictest(["CC0-1.0"]) == "Licences: CC0-1.0."
