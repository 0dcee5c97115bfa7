"""Secrets in payloads: which keys name one, which texts hold one, and what stands in their place.

Two rules. A **key** is judged by its whole words: `token` in `access_token`, `apiKey`, `API-KEY`,
not in `tokens_saved`; so is a text that is the name of another. A **text** is judged by the shapes of
known tokens (`shapes.py`) and by what carries a secret: authorization headers, URLs with a password,
private keys, assignments, options of command lines.
`docs/decisions/0010-redaction.md` tells what is covered and what is not.

Nearly every text holds no secret and must be let go at the least cost, so `may_hold_secret` looks
in two steps, neither of which lets through what `redact` would find:

1. A secret is 13 token characters in a row, or stands behind a `:`, a `=` or an option, or is the
   whole text (`Bearer …`). Most prose has none of these.
2. Each shape has a head, a literal that gives it away. Letters are common, while the last
   character of a head is rare (`ghp_`, `AKI`, `sk-ant-`), so one regular expression looks for the
   heads from their ends: in the reversed text, spelled backwards.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from whence.recorder.shapes import SHAPES

REDACTED = "[redacted]"
SHORTEST = 13
"""Texts of fewer characters are not searched: no token is shorter."""
SCHEME_SIZE = len("Bearer ") + SHORTEST
"""A text of fewer characters may be nothing but `Bearer` and a token too short for a run."""

_TOKEN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.=+/~"
RUNS = bytes(ord("x") if byte in _TOKEN_BYTES else ord(" ") for byte in range(256))
"""A table for `bytes.translate`: token characters become `x`, all others a space."""
RUN = "x" * SHORTEST
OPTION = "--"
_TAIL_SIZE = 3

# Words that name a secret wherever they stand in a key, then pairs of words that do so together,
# also as more than one `key`.
_KEYS = """
    token password passwords passwd passphrase passcode pwd secret secrets authorization
    credential credentials creds cookie cookies jwt otp totp
    apikey apikeys apitoken apisecret accesskey accesstoken authkey authtoken bearertoken clientsecret
    csrftoken dbpassword idtoken oauthtoken pgpassword privatekey refreshtoken secretkey
    securitytoken sessiontoken signingkey sshkey userpassword usertoken
    access_key account_key api_key app_key auth_key client_key deploy_key encryption_key
    license_key master_key private_key secret_key service_key shared_key signing_key ssh_key storage_key
""".split()
_KEYS += [f"{key}s" for key in _KEYS if key.endswith("_key")]
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_EDGE = "(?![A-Za-z0-9])"
_MANY = 8

_PEM = re.compile(
    r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----"
    r"(?=[\s\S]{0,400}?[\w.=+/~-]{13})[\s\S]*?(?:-----END[^\n\r]{0,100}?-----|\Z)",
    re.ASCII,
)
_URL_PASSWORD = re.compile(r"://[^\s/@:]*:([^\s/@]+)@", re.ASCII)
# A name, of a person or a program, is shorter or has no digit.
_URL_TOKEN = re.compile(r"://(?=[a-zA-Z_~-]*\d)(?=[\d_~-]*[a-zA-Z])([\w~-]{20,})@", re.ASCII)
_CURL_USER = re.compile(
    r"(?<!\S)(?:-u[ \t=]{0,5}|--user[ \t=]{1,5})[\"']?[^\s:=\"']{0,64}:([^\s\"']+)", re.ASCII
)
_BEARER = re.compile(r"(?i:bearer)[ \t]([\w.~+/=-]+)\Z", re.ASCII)
# A word of prose may follow "basic"; a secret shows a digit, a sign or an inner capital.
_SCHEME = re.compile(
    r"\b(?i:bearer|basic)[ \t]+(?=.[a-z-]*[A-Z0-9_~+/=])([\w.~+/=-]{13,})", re.ASCII
)
_ASSIGNMENT = re.compile(
    r"(?<![\w.-])([\w.-]{0,63}[A-Za-z])(?:\\{0,2}[\"'])?[ \t]{0,4}(?:=>|:=|[:=](?!=))[ \t]{0,4}",
    re.ASCII,
)
# Between quotes, signs alone are what a parser stumbled over: `unexpected token: '}'`.
_SIGNS = re.compile(r"[\W_]{0,3}")
# What is in `pwd` if not a password: the folder that a shell is in.
_FOLDER = re.compile(r"[/~]|[A-Za-z]:[\\/]")
_QUOTED = re.compile(r"(\\{0,2}[\"'])(.*?)(?:\1|\Z)", re.DOTALL)
_BARE = re.compile(
    r"(?:(?i:bearer|basic|token|digest|negotiate|apikey)[ \t]+)?([^\s\"'`,;&|<>(){}\[\]\\]+)",
    re.ASCII,
)
# What follows a token without a break is taken with it: no half of one ever stays.
_REST = re.compile(r"[\w-]+", re.ASCII)
# An option of a command line, unless what follows is the prose of who explains it.
_OPTION = re.compile(
    r"(?<![\w-])--([A-Za-z][\w-]{0,60}[A-Za-z]) {1,8}(?![ =-])"
    r"(?!(?i:an?|and|are|arg|args|argument|arguments|as|by|can|does|flag|flags|for|from|has|if|in|"
    r"instead|is|it|may|must|needs|not|of|on|option|options|or|param|parameter|parameters|should|"
    r"switch|takes|that|the|this|to|value|values|was|when|which|will|with|without|you)(?![\w-]))"
    r"(?:(\\{0,2}[\"'])(.*?)(?:\2|\Z)|([^\s\"'`,;&|<>(){}\[\]\\]+))",
    re.ASCII | re.DOTALL,
)
_NAME = re.compile(r"[\w.-]{0,63}[A-Za-z]", re.ASCII).fullmatch
_NO_WORD = re.compile(r"[^A-Za-z _-]").search
_COUNTED = "0123456789_-. "
_DIGIT = re.compile("[0-9]")
_NUMBER = re.compile(r"[+-]?\d{1,7}(?:\.\d{1,9})?%?", re.ASCII)


class Redactor:
    """Finds secrets and puts `[redacted]` in their place. Frozen: share it between threads.

    `keys` names further keys, in any spelling (`vault_pin` also finds `vaultPin`). `patterns`
    are further regular expressions for texts; where one has a group, only the first group is
    replaced. They run over every text, so each costs the caller. `allow` lists keys and texts
    that are never replaced.
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        allow: Iterable[str] = (),
    ) -> None:
        named = [key.split("_") for key in _KEYS] + [split_words(key) for key in keys]
        self._keys = frozenset(tuple(words) for words in named if words)
        self._longest = max(len(words) for words in self._keys)
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        self.has_patterns = bool(self._patterns)
        self._allow = frozenset(allow)
        self._allowed_keys = frozenset(tuple(split_words(text)) for text in self._allow)
        # How the names end that `is_pair` looks for: the last characters tell of most that they do not.
        size = min(_TAIL_SIZE, *(len(words[-1]) for words in self._keys))
        self.tail = slice(-size, None)
        ends = {words[-1][self.tail] for words in self._keys}
        self.tails = frozenset(f(end) for end in ends for f in (str.lower, str.upper, str.title))
        self.find_head = _compile_heads(frozenset(words[-1] for words in self._keys)).search

    def is_secret_key(self, key: str) -> bool:
        """Tell whether the words of `key` name a secret, wherever in the key they stand."""
        words = tuple(split_words(key))
        return words not in self._allowed_keys and any(
            words[start:end] in self._keys
            for start in range(len(words))
            for end in range(start + 1, start + 1 + self._longest)
        )

    def is_pair(self, name: str, value: str) -> bool:
        """Tell whether the first of two neighbours in a list names the second as a secret.

        Lists of words also say `["password", "email"]`: there it takes more than a word, or a name that
        people write for nothing else (`Authorization`, `X-Api-Key`, `--password`).
        """
        return (
            name[self.tail] in self.tails
            and value[:1] != "-"
            and _NAME(name) is not None
            and self._ends_in_secret(name)
            and (_is_surely_name(name) or _NO_WORD(value) is not None)
            and not self.is_folder(name, value)
        )

    def is_name(self, text: str) -> bool:
        """Tell whether a text that stands as a name is that of a secret: by its end, as in a list.

        Names are also titles and phrases (`Secret Garden`, `token_bucket`). One that people write for
        nothing else (`SECRET_KEY_BASE`) may hold its word anywhere.
        """
        return self.is_secret_key(text) and (
            _is_surely_name(text) or self._ends_in_secret(text.rstrip(_COUNTED))
        )

    def is_folder(self, name: str, value: str) -> bool:
        """Tell whether `value` is where a shell is, which it says under `PWD`, and no password."""
        return name in ("pwd", "PWD") and _FOLDER.match(value) is not None

    def allows(self, text: str) -> bool:
        """Tell whether `text` is one of those that are never replaced."""
        return text in self._allow

    def may_hold_secret(self, text: str) -> bool:
        """Tell at little cost whether `redact` could change `text`. Some false alarms, no miss."""
        if self.has_patterns:
            return True
        # `Payloads.encode` repeats this line where a call would cost too much.
        return (
            len(text) >= SHORTEST
            and (
                RUN in text.encode("utf-8", "replace").translate(RUNS).decode()
                or ":" in text
                or "=" in text
                or ("-" in text and OPTION in text)
                or (len(text) < SCHEME_SIZE and text[0] in "Bb")
            )
            and self.find_head(text[::-1]) is not None
        )

    def redact(self, text: str) -> str:
        """Return `text` with `[redacted]` for each secret; the same object if there is none."""
        if not self.may_hold_secret(text):
            return text
        spans = sorted({span for span in self._find(text) if text[slice(*span)] not in self._allow})
        if not spans:
            return text
        pieces = []
        done = 0
        for start, end in spans:
            if start >= done:
                pieces += [text[done:start], REDACTED]
            done = max(done, end)
        return "".join([*pieces, text[done:]])

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        yield from self._find_shapes(text)
        yield from self._find_assigned(text)
        for pattern in (_PEM, _URL_PASSWORD, _URL_TOKEN, _SCHEME, *self._patterns):
            for match in pattern.finditer(text):
                start, end = match.span(1 if pattern.groups and match[1] else 0)
                if start < end:
                    yield start, end
        if whole := _BEARER.match(text):
            yield whole.span(1)
        for match in _OPTION.finditer(text):
            group = 3 if match[2] else 4
            if self._ends_in_secret(match[1]) and not self.is_folder(match[1], match[group]):
                yield match.span(group)
        if "curl" in text:
            for match in _CURL_USER.finditer(text):
                yield match.span(1)

    def _find_shapes(self, text: str) -> Iterator[tuple[int, int]]:
        backwards = text[::-1]
        ends = []
        at = 0
        while hit := self.find_head(backwards, at):
            ends.append(len(text) - hit.start())
            at = hit.start() + 1
        done = 0
        for end in reversed(ends):
            # What lies inside a token already found is not looked at again: linear, whatever comes.
            if end <= done:
                continue
            for lead, pattern in _list_shapes(text[end - 1]):
                if end >= lead and (match := pattern.match(text, end - lead)):
                    start, done = match.span(pattern.groups)
                    if rest := _REST.match(text, done):
                        done = rest.end()
                    yield start, done
                    break

    def _find_assigned(self, text: str) -> Iterator[tuple[int, int]]:
        done = 0
        for match in _ASSIGNMENT.finditer(text):
            if match.start() < done or not self._ends_in_secret(match[1]):
                continue
            name = match[1]
            if quoted := _QUOTED.match(text, match.end()):
                if not _SIGNS.fullmatch(quoted[2]) and not self.is_folder(name, quoted[2]):
                    yield quoted.span(2)
                done = quoted.end(2)
            elif bare := _BARE.match(text, match.end()):
                # Prose and code also say `token: later`, `password=secret` and `token=17`.
                surely = _is_surely_name(name)
                surely = surely or text[match.start() - 1 : match.start()] in ("?", "&")
                is_harmless = _NUMBER.fullmatch(bare[1]) or self.is_folder(name, bare[1])
                if (surely or _DIGIT.search(bare[1])) and not is_harmless:
                    yield bare.span(1)
                done = bare.end(1)

    def _ends_in_secret(self, name: str) -> bool:
        words = tuple(split_words(name))
        return words not in self._allowed_keys and any(
            words[-size:] in self._keys for size in range(1, self._longest + 1)
        )


def _is_surely_name(name: str) -> bool:
    return "-" in name or name.isupper() or name.lower() == "authorization"


def split_words(key: str) -> list[str]:
    """List the words of `key` in lower case: `apiKey`, `API-KEY` and `api_key` are api and key."""
    return [word.lower() for word in _WORD.findall(key)]


@cache
def _list_shapes(last: str) -> list[tuple[int, re.Pattern[str]]]:
    """List the shapes whose head ends in `last`, each with its length up to there."""
    return [
        (shape.lead + len(shape.head.removeprefix("^")), re.compile(shape.pattern, re.ASCII))
        for shape in SHAPES
        if shape.head[-1] == last
    ]


@cache
def _compile_heads(words: frozenset[str]) -> re.Pattern[str]:
    """Spell every head backwards in one expression; `words` end the names of assignments."""
    ends = _spell_trie([[*word[::-1]] for word in words])
    last = "".join({word[-1] + word[-1].upper() for word in words})
    name = rf"[:=]?[ \t]{{0,4}}(?:[\"']\\{{0,2}})?(?=[{last}])(?i:{ends})"
    heads = [
        [*map(re.escape, shape.head.removeprefix("^")[::-1])]
        + ([shape.seen] if shape.seen else [])
        + ([_EDGE] if shape.head[0] == "^" else [])
        for shape in SHAPES
    ]
    heads += [
        [*map(re.escape, "-----BEGIN"[::-1])],
        ["@", r"[^\s@/]*//:"],
        *([b, _EDGE, rf"(?<=[ \t](?i:{rest}){b})"] for b in "Bb" for rest in ("rerae", "cisa")),
        [":", name],
        ["=", name],
        [" ", rf"(?=[{last}])(?i:{ends})[\w-]{{0,62}}--"],
        [":", r"[^\s:=]{0,70}+(?:(?<=u-)|[ \t=]{1,5}(?:u-|resu--))"],
    ]
    return re.compile(_spell_trie(heads), re.ASCII)


def _spell_trie(paths: list[list[str]], depth: int = 0) -> str:
    """Join `paths`, each a list of pieces of a regular expression, at what they have in common.

    The engine rejects a character that begins no branch at once only if every branch begins
    with a literal; a path that goes on where another ends adds nothing and is left out.
    """
    branches: dict[str, list[list[str]]] = {}
    for path in sorted(paths):
        if not path:
            return ""
        branches.setdefault(path[0], []).append(path[1:])
    spelled = [first + _spell_trie(rests, depth + 1) for first, rests in branches.items()]
    if len(spelled) == 1:
        return spelled[0]
    # Where many paths part, most texts go none of them: a set says so faster than each branch.
    literal = depth > 0 and all(len(first) < 3 for first in branches)
    guard = f"(?=[{''.join(branches)}])" if literal and len(branches) > _MANY else ""
    return f"{guard}(?:{'|'.join(spelled)})"
