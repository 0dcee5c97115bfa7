"""What the keys and tokens of known vendors look like: one table, facts only.

Gathered from the rules of gitleaks 8.30 (MIT) and written in our own terms; the same list stands
in `tests/vectors/token_shapes.toml`, in the publisher's names, and each of its entries is tested.
Only shapes that give themselves away stand here. A rule that means something only beside a name
("32 hex digits after `foo_api_key`") is the business of the key rule in `redact.py`.
"""

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """One kind of token: `head` gives it away, `tail` is what must follow.

    A `^` before the head asks that no letter or digit stands before it. `before` (of exactly
    `lead` characters) is what must stand before the head, and `seen` the part of it, read
    backwards, that already the search for heads asks for.
    """

    head: str
    tail: str
    before: str = ""
    lead: int = 0
    seen: str = ""

    @property
    def pattern(self) -> str:
        """The whole shape as one regular expression, to be read as ASCII."""
        head = self.head.removeprefix("^")
        edge = "" if head == self.head else "(?<![A-Za-z0-9])"
        return edge + self.before + re.escape(head) + self.tail


# The search looks for heads from their ends, so a head ends at the rarest character of its
# literal: `AIz`, not `AIza`. Where a vendor issues exactly n characters we take n or more, so
# that no rest of a longer one stays. Every shape is ASCII and either holds 13 token characters in
# a row or a `:` or `=`: without these `may_hold_secret` would never look for it.
_BY_TAIL = {
    r"[A-Za-z0-9]{10,}": "^sk_test_ ^sk_live_ ^sk_prod_ ^rk_test_ ^rk_live_ ^rk_prod_",
    r"[A-Za-z0-9]{16,}": "^sm_aat_ ^sm_pat_ ^sm_sat_",
    r"[A-Za-z0-9]{20,}": "^LTAI",
    r"[A-Za-z0-9]{30,}": "^hf_ ^api_org_",
    r"[A-Za-z0-9]{32,}": "^p8e- ^ico-",
    r"[A-Za-z0-9]{36,}": "ghp_ gho_ ghu_ ghs_ ghr_ ^npm_ ^NPM_ ^pnu_",
    r"[A-Za-z0-9]{40,}": "lin_api_",
    r"[A-Za-z0-9]{43,}": "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
    r"[A-Za-z0-9]{46,}": "^ntn_",
    r"[A-Za-z0-9]{48,}": "^pplx-",
    r"[A-Za-z0-9]{54,}": "^EZAK ^EZTK",
    r"[A-Za-z0-9]{60,}": "CLOJARS_ clojars_",
    r"[A-Z0-9]{26,}": "^API-",
    r"[a-z0-9]{70,}": "^rdme_",
    r"[A-Fa-f0-9]{32,}": "SK shpat_ shpca_ shppa_ shpss_",
    r"[A-Fa-f0-9]{40,}": "glptt- ^pul- ^shippo_live_ ^shippo_test_",
    r"[A-Fa-f0-9]{48,}": "^rubygems_",
    r"[A-Fa-f0-9]{64,}": "doo_v1_ dop_v1_ dor_v1_ DOR_V1_ sntryu_ s-s4t2ud- s-s4t2af-",
    r"[A-Za-z0-9+/]{32,}={0,3}": "^glc_ ^GLC_",
    r"[A-Za-z0-9+/]{100,}={0,3}": "^fm1a_ ^fm1r_ ^fm2_",
    r"[\w-]{20,}": "gldt- glffct- glft- glimt- glagent- gloas- glsoat- sk-ant- sk-proj- "
    "sk-svcacct- sk-admin-",
    r"[\w-]{20,}(?:\.[a-z0-9]{9,})?": "glpat- glrt-",
    r"[\w-]{22,}": "^EAAA ^sq0atp- ^sq0csp-",
    r"[\w-]{48,}": "^tk-us-",
    r"[\w-]{58,}": "^HRKU-",
    r"[\w-]{82,}": "github_pat_",
    r"[\w-]{90,}": "^hvs. ^hvb.",
    r"[\w=-]{40,}": "duffel_test_ duffel_live_ ^fo1_",
    r"[\w=-]{64,}": "fio-u-",
    r"[\w=-]{100,}": "^ATATT",
    r"[\w=.-]{32,}": "^pscale_tkn_ ^pscale_oauth_ ^pscale_pw_ ^PSCALE_PW_",
    r"[\w=.-]{59,}": "^tfp_ ^SG.",
    r"[a-hA-H0-9]{12,}(?:-X)?": "FLWSECK_TEST- FLWPUBK_TEST-",
    r"[A-Za-z0-9]{24}\.[A-Za-z0-9]{64,}": "dt0c01.",
    r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8,}": "^glsa_ ^GLSA_",
    r"[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20,}": "pat. sat.",
    r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[\w+/=-]{30,}": (
        "^sc_ ^ext_ ^scauth_ ^authress_"
    ),
    r"(?:[A-Fa-f0-9]{16}_|local_)?[A-Fa-f0-9]{40,}": "^sgp_ ^SGP_",
    r"[A-Za-z0-9]{1,5}_[\w-]{20,}": "glcbt-",
    r"(?=[\w-]{8})\d-[A-Za-z0-9]+-\d+-[A-Za-z0-9]+": "xapp- XAPP-",
    r"(?:\d-)?[\w-]{8,}": "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- XOXE-",
    r"xox[bp]-\d-[A-Za-z0-9]{100,}": "xoxe.",
    r"XOX[BP]-\d-[A-Za-z0-9]{100,}": "XOXE.",
}

SHAPES = [Shape(head, tail) for tail, heads in _BY_TAIL.items() for head in heads.split()] + [
    Shape("^A3-", r"[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}"),
    Shape("^A3T", r"[A-Z0-9]{17}"),
    Shape("^ABI", r"A[A-Z0-9]{16}"),
    Shape("^ABS", r"K[A-Za-z0-9+/]{100,}={0,2}"),
    Shape("^ACC", r"A[A-Z0-9]{16}"),
    Shape("AGE-SECRET-KEY-", r"1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,}"),
    Shape("^AIz", r"a[\w-]{35,}"),
    Shape("^AKC", r"p[A-Za-z0-9]{69,}"),
    Shape("^AKI", r"A[A-Z0-9]{16}"),
    Shape("^ASI", r"A[A-Z0-9]{16}"),
    Shape("^EAA", r"[MC][A-Za-z0-9]{100,}"),
    Shape("GR", r"1348941[\w-]{20,}"),
    Shape("^NRAK-", r"[A-Za-z0-9]{27,}"),
    Shape("^NRII-", r"[\w-]{32,}"),
    Shape("^NRJS-", r"[A-Fa-f0-9]{19,}"),
    Shape("^PMAK-", r"[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34,}"),
    Shape("Q~", r"[\w~.-]{31,}", before=r"[\w~.]{3}\d", lead=4, seen=r"\d"),
    Shape("T3B", r"lbkFJ[A-Za-z0-9]{20,}", before=r"sk-[A-Za-z0-9]{20}", lead=23),
    Shape("ZX", r"lK[A-Za-z0-9/\\_+\r\n-]{40,}={0,2}"),
    Shape("_gitlab_session=", r"([A-Za-z0-9]{32,})"),
    Shape("_", r"mmk", before=r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}", lead=36, seen=r"(?<=kmm_)"),
    Shape(".", r"[A-Fa-f0-9]{64,}", r"pat[A-Za-z0-9]{14}", 17, seen="[A-Za-z0-9]{14}tap"),
    Shape(".atlasv1.", r"[\w=-]{60,}", before=r"[A-Za-z0-9]{14}", lead=14),
    Shape(":AA", r"[\w-]{33,}", before=r"\d{8}", lead=8, seen=r"\d"),
    Shape("%", r"[\w-]{27,}", before=r"\d{15}", lead=15, seen=r"\d{15}"),
    Shape("|", r"[\w-]{27,}", before=r"\d{15}", lead=15, seen=r"\d{15}"),
    Shape("bedrock-api-key-", r"[A-Za-z0-9+/=_-]{28,}"),
    Shape("^4b", r"1d[A-Za-z0-9]{38,}"),
    Shape("^cmV", r"md[A-Za-z0-9]{59,}"),
    Shape("^dap", r"i[A-Fa-f0-9]{32,}(?:-\d)?"),
    Shape("dnkey-", r"[\w=-]{26}-[\w=-]{52,}"),
    # A JSON web token: two or three parts, the first two of them JSON objects in base64.
    Shape("^ey", r"[A-Za-z0-9]{17,}\.ey[\w/\\-]{17,}(?:\.[\w/\\-]*={0,2})?"),
    Shape("^eyJrI", r"joi[A-Za-z0-9]{70,}={0,3}"),
    Shape("hooks.", r"slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{40,})"),
    Shape("ops_", r"eyJ[A-Za-z0-9+/_-]{40,}={0,3}"),
    Shape("pypi-", r"AgE[\w-]{50,}"),
    Shape("^s.", r"(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24,}"),
    Shape("sha256~", r"[\w-]{43,}"),
    # OpenAI and those who copy its form. The digit keeps `sk-` words of prose and CSS out.
    Shape("^sk-", r"(?:[a-z0-9]{1,12}-){0,2}(?=[A-Za-z_]{0,40}\d)\w{20,}"),
    Shape("sntrys_", r"eyJ[A-Za-z0-9+/=_-]{40,}"),
    Shape("v1.0-", r"[a-f0-9]{24}-[a-f0-9]{146,}"),
    Shape("webhook.", r"office\.com/webhookb2/([\w@/-]{36,})"),
    Shape("xkeysib-", r"[A-Fa-f0-9]{64}-[A-Za-z0-9]{16,}"),
]
