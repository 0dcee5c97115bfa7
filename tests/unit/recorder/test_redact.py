"""Secrets are found by the names of keys and by the shapes of tokens, and nothing else is."""

import random
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.recorder.redact import REDACTED, SHORTEST, Redactor, split_words
from whence.recorder.shapes import SHAPES

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "token_shapes.toml").read_text(encoding="utf-8")
)
RECIPES = [(rule, recipe) for rule, recipes in VECTORS["shapes"].items() for recipe in recipes]
PATTERNS = [re.compile(shape.pattern, re.ASCII) for shape in SHAPES]
_PIECE = re.compile(r"<(\w+):(\d+)(?:-(\d+))?>")


def make_token(recipe: str, seed: int) -> tuple[str, str]:
    """Make a token by its recipe; return it and its longest random piece, the last of equals."""
    source = random.Random(seed)
    pieces = [""]

    def fill(match: re.Match[str]) -> str:
        size = source.randint(int(match[2]), int(match[3] or match[2]))
        pieces.append("".join(source.choices(VECTORS["classes"][match[1]], k=size)))
        return pieces[-1]

    return _PIECE.sub(fill, recipe), max(reversed(pieces), key=len)


class ThoroughRedactor(Redactor):
    """Looks at every text, whatever the quick look says."""

    def may_hold_secret(self, text: str) -> bool:
        return True


@pytest.mark.parametrize(("rule", "recipe"), RECIPES)
def test_every_published_shape_is_found_wherever_it_stands(rule: str, recipe: str) -> None:
    redactor = Redactor()
    for around in ("{}", "use {} now", '{{"x": "{}"}}', "a={}\n", "«{}»", "({}),", "x-{}.", "'{}'"):
        for seed in range(20):
            token, secret = make_token(recipe, seed)

            clean = redactor.redact(around.format(token))

            assert REDACTED in clean
            assert secret not in clean


@pytest.mark.parametrize(("rule", "recipe"), RECIPES)
@pytest.mark.parametrize("index", [0, -1])
def test_every_shape_is_found_where_it_is_at_its_oddest(rule: str, recipe: str, index: int) -> None:
    """All characters alike: the last of a class is a sign where the class has any."""
    token = _PIECE.sub(lambda match: VECTORS["classes"][match[1]][index] * int(match[2]), recipe)
    # The one shape with a condition on top: without a digit it would be a sentence's end.
    token = token.replace("s.AAAAAAAAAAAA", "s.AAAAAAAAAAA1")

    assert Redactor().redact(f"use {token} now") != f"use {token} now"


@pytest.mark.parametrize(("rule", "vector"), VECTORS["keyed"].items())
def test_a_value_that_only_a_name_gives_away_is_known_by_its_key(
    rule: str, vector: list[str]
) -> None:
    key, recipe = vector
    value, secret = make_token(recipe, seed=1)
    redactor = Redactor()

    assert redactor.is_secret_key(key)
    assert secret not in redactor.redact(f'{{"{key.replace(" ", "_")}": "{value}"}}')


def test_the_vectors_name_each_rule_once() -> None:
    names = [*VECTORS["shapes"], *VECTORS["keyed"], *VECTORS["left_out"]]

    assert len(names) == len(set(names))


PIECES = st.one_of(
    st.builds(
        lambda recipe, seed, cut: make_token(recipe, seed)[0][cut:],
        st.sampled_from([recipe for _, recipe in RECIPES]),
        st.integers(0, 99),
        st.sampled_from([0, 0, 0, 1, 2, 5]),
    ),
    st.builds(
        lambda recipe, seed, cut: make_token(recipe, seed)[0][:cut],
        st.sampled_from([recipe for _, recipe in RECIPES]),
        st.integers(0, 99),
        st.integers(1, 60),
    ),
    st.sampled_from(
        "Bearer basic BEARER :// : = @ - _ . / ~ + \" ' \\ \n password token api_key curl -u"
        " --user Authorization --password --api-key user admin:secret1 -----BEGIN word understanding 0123456789".split(
            " "
        )
    ),
    st.text("abcXYZ019 _-.:=é€\ud800", max_size=20),
)


@given(st.lists(PIECES, max_size=6), st.sampled_from(["", " ", "-", "/", "="]))
def test_what_the_quick_look_lets_go_holds_no_secret(pieces: list[str], joint: str) -> None:
    text = joint.join(pieces)
    if Redactor().may_hold_secret(text):
        return

    assert len(text) < SHORTEST or ThoroughRedactor().redact(text) is text
    assert [pattern.pattern for pattern in PATTERNS if pattern.search(text)] == []


@given(st.lists(PIECES, max_size=6), st.sampled_from(["", " ", "-", "/", "="]))
def test_what_has_the_shape_of_a_token_never_stays(pieces: list[str], joint: str) -> None:
    text = joint.join(pieces)
    clean = Redactor().redact(text)

    assert [pattern.pattern for pattern in PATTERNS if pattern.search(clean)] == []


@given(st.text())
def test_any_text_may_be_asked_about(text: str) -> None:
    redactor = Redactor()

    assert redactor.redact(text) is text or REDACTED in redactor.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the quick brown fox jumps over the lazy dog",
        "0199abcd-1234-7abc-8def-0123456789ab",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "2026-11-20T19:27:35.104233123Z",
        "src/whence/recorder/payload.py:17: error: incompatible types",
        "https://example.com/api/v1/tasks/42?page=2#top",
        "mail bob@example.com at 10:30, see https://example.com/@bob",
        "task-abc123 altitude_transition_requested npm_config_registry_url",
        "basic understanding of tokens, basic authentication-required",
        "Bearer certificates are old; a bearer of bad news",
        "the token: something else, the secret=unknown, key: value",
        "input_tokens=512 token_count: 17 max_token=400 password == other",
        "docker run -u 1000:1000 image",
        "/usr/lib/python3.11/site-packages/msgspec/json.py",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "they saved money; the keys; task-sub1 sk-learn; it's. s.e.",
        "the --password option is old -- a --token flag, the --api-key, and --password-file x",
        "run it with --password -v or --token-count 17 -p hunter2 --tokens 17",
        "cd $PWD; PWD=/srv/app1 pwd: ~/x1 pwd='C:\\x' run --pwd /srv/x1",
        "SyntaxError: unexpected token: '}', got token ')', want token: '=>'",
        "git@github.com ssh://git@github.com https://a-rather-long-user-name@host/x",
    ],
)
def test_what_is_no_secret_stays_and_is_the_same_object(text: str) -> None:
    assert Redactor().redact(text) is text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Bearer abc-12", "Bearer [redacted]"),
        ("bearer mytoken", "bearer [redacted]"),
        (
            "curl -H 'Authorization: Bearer abc' https://x.test",
            "curl -H 'Authorization: Bearer [redacted]' https://x.test",
        ),
        ("authorization: Basic dXNlcjpwdw==", "authorization: Basic [redacted]"),
        ("sent Basic dXNlcjpwYXNzd29yZA== off", "sent Basic [redacted] off"),
        ("postgres://bob:pw@db.test/x", "postgres://bob:[redacted]@db.test/x"),
        ("redis://:p:w@cache and more", "redis://:[redacted]@cache and more"),
        (
            "git clone https://k3f9a2c81qzmk3f9a2c81qzm@git.test/x.git",
            "git clone https://[redacted]@git.test/x.git",
        ),
        ("PWD=hunter2 db_pwd=/x1 pwd='~'", "PWD=[redacted] db_pwd=[redacted] pwd='~'"),
        ("https://x.test/?a=1&token=later&b=2", "https://x.test/?a=1&token=[redacted]&b=2"),
        ("export DB_PASSWORD=correcthorse", "export DB_PASSWORD=[redacted]"),
        ("login --password=correcthorse -v", "login --password=[redacted] -v"),
        ("login --password correcthorse -v", "login --password [redacted] -v"),
        (
            "a --api-key=x b --db-password  y;",
            "a --api-key=[redacted] b --db-password  [redacted];",
        ),
        (
            "login --password 'a b' --token \"c\"",
            "login --password '[redacted]' --token \"[redacted]\"",
        ),
        (r'{"run": "x --accessToken \"a b\" y"}', r'{"run": "x --accessToken \"[redacted]\" y"}'),
        ("run PASSWORD=x TOKEN='y' ./a.sh", "run PASSWORD=[redacted] TOKEN='[redacted]' ./a.sh"),
        ("client(api_key='abc', x=1)", "client(api_key='[redacted]', x=1)"),
        (
            '{"password": "hunter2", "tokens": "x"}',
            '{"password": "[redacted]", "tokens": "x"}',
        ),
        (
            r'{"args": "{\"clientSecret\": \"a b\", \"n\": 1}"}',
            r'{"args": "{\"clientSecret\": \"[redacted]\", \"n\": 1}"}',
        ),
        ("password: hunter2", "password: [redacted]"),
        (
            "secret := 'x' and secret => \"y\"",
            "secret := '[redacted]' and secret => \"[redacted]\"",
        ),
        ("X-Api-Key: abcdefgh", "X-Api-Key: [redacted]"),
        ("curl -uadmin:abc -v x.test", "curl -uadmin:[redacted] -v x.test"),
        (f"curl -u {'u' * 60}:pw1 x.test", f"curl -u {'u' * 60}:[redacted] x.test"),
        ("token='unclosed text", "token='[redacted]"),
    ],
)
def test_only_the_secret_part_of_a_text_is_replaced(text: str, clean: str) -> None:
    assert Redactor().redact(text) == clean


def test_tokens_side_by_side_are_each_replaced() -> None:
    one, _ = make_token("ghp_<alnum:36>", 1)
    two, _ = make_token("AKIA<base32:16>", 2)

    assert Redactor().redact(f"{one} {two},{one}") == "[redacted] [redacted],[redacted]"


@pytest.mark.parametrize(
    "key",
    "token access_token accessToken ACCESS-TOKEN x.token session_token apiKey api_key API-KEY "
    "apikey APIKey authorization Proxy-Authorization password user.password passwd pwd db_pwd "
    "secret client_secret clientSecret private_key privateKey cookie Set-Cookie credential "
    "credentials creds passphrase aws_secret_access_key OAuthToken token2 password_hash jwt "
    "api_keys privateKeys API-KEYS apikeys".split(),
)
def test_a_key_names_a_secret_by_one_of_its_words(key: str) -> None:
    assert Redactor().is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        *"tokens tokens_saved tokenizer input_tokens secretary keyboard key keys public_key".split(),
        *"primary_key monkey author auth_method cookiecutter passwordless compass id a".split(),
        "",
        "密",
    ],
)
def test_a_part_of_a_word_names_no_secret(key: str) -> None:
    assert not Redactor().is_secret_key(key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("apiKey", ["api", "key"]),
        ("API-KEY", ["api", "key"]),
        ("APIKeyID2", ["api", "key", "id", "2"]),
        ("some key.of_ours", ["some", "key", "of", "ours"]),
        ("", []),
    ],
)
def test_words_part_at_signs_and_changes_of_case(key: str, words: list[str]) -> None:
    assert split_words(key) == words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer x"), ("authorization", "x"), ("x-api-key", "x"), ("API_TOKEN", "x"),
        ("password", "hunter2"), ("cookie", "id=x"), ("apiKey", "x.y"), ("--password", "x"),
    ],
)  # fmt: skip
def test_a_text_may_name_its_neighbour(name: str, value: str) -> None:
    assert Redactor().is_pair(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "email"), ("token", "user_id"), ("secret", "very secret"), ("task", "hunter2"),
        ("tokens", "x1"), ("the password", "hunter2"), ("--password", "--verbose"), ("", "x1"),
        ("password-file", "x1"), ("token_count", "17"), ("密token", "x1"), ("PWD", "/srv/x1"),
    ],
)  # fmt: skip
def test_words_side_by_side_are_no_pair(name: str, value: str) -> None:
    assert not Redactor().is_pair(name, value)


def test_further_keys_name_their_neighbours_whatever_they_end_in() -> None:
    redactor = Redactor(keys=["member_id", "pin"])

    assert redactor.is_pair("memberId", "x1")
    assert redactor.is_pair("PIN", "x1")
    assert redactor.is_pair("apiKey", "x1")
    assert not Redactor(allow=["pin"], keys=["pin"]).is_pair("PIN", "x1")


def test_further_keys_are_found_in_any_spelling_and_in_texts() -> None:
    redactor = Redactor(keys=["vault_pin"])

    assert redactor.is_secret_key("theVaultPin")
    assert redactor.is_secret_key("VAULT-PIN")
    assert not redactor.is_secret_key("pin")
    assert redactor.redact("open with vault_pin='12 34'") == "open with vault_pin='[redacted]'"


def test_further_patterns_run_over_every_text() -> None:
    redactor = Redactor(patterns=[r"emp-\d+", re.compile(r"pin (\d+)"), "(never)?^", r"ö|(ü)"])

    assert redactor.redact("emp-17") == "[redacted]"
    assert redactor.redact("my pin 1234!") == "my pin [redacted]!"
    assert redactor.redact("ö ü") == "[redacted] [redacted]"


def test_what_is_allowed_stays() -> None:
    token, _ = make_token("ghp_<alnum:36>", 1)
    redactor = Redactor(allow=["token_type", token, "example"])

    assert not redactor.is_secret_key("tokenType")
    assert redactor.is_secret_key("token")
    assert redactor.redact(f"use {token}") == f"use {token}"
    assert redactor.redact("token_type='bearer'") == "token_type='bearer'"
    assert redactor.allows("example")


@pytest.mark.parametrize(
    "unit",
    [
        *'ghp_ eyJ ey.ey s. sk_test_ ZXlK ://a: token= token=" _mmk AKIA'.split(),
        *("Bearer ", "-u ", "password: ", "-----BEGIN PRIVATE KEY-----"),
        *("--password ", '--password "', "--password   ", "-" * 61 + "password "),
        "a" * 64 + ".",
        "1" * 16 + "|",
    ],
)
def test_long_texts_built_against_us_come_back(unit: str) -> None:
    text = unit * (20_000 // len(unit))

    assert isinstance(Redactor().redact(text), str)
