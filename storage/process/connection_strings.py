"""Addresses of servers as settings write them: which carry a secret, and how one may be printed
(pure).

Two forms: a URL, and libpq's ``name = 'value'`` pairs (PostgreSQL 18, 32.1.1.1). Fail closed: a
part is shown because its name is known to be harmless, and what cannot be read with certainty is
not shown at all.
"""

import re
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

HIDDEN = "…"
_SECRET = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_HARMLESS = frozenset(
    {
        "host",
        "hostaddr",
        "port",
        "dbname",
        "db",
        "database",
        "user",
        "username",
        "passfile",
        "service",
        "servicefile",
        "sslmode",
        "ssl",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslcrl",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "target_session_attrs",
        "connect_timeout",
        "application_name",
        "client_encoding",
        "options",
        "krbsrvname",
        "gsslib",
        "channel_binding",
        "require_auth",
        "protocol",
        "keepalives",
        "load_balance_hosts",
    }
)
_PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|\Z)")


def carries_secret(text: str) -> bool:
    """Whether a password, or something that might be one, stands in it. What cannot be read counts
    as one."""
    if "://" in text:
        split = _url(text)
        return split is None or bool(split[0]) or any(_is_secret(name) for name, _ in split[2])
    if "=" not in text:
        return False
    pairs = _pairs(text)
    return pairs is None or any(_is_secret(name) for name, _ in pairs)


def redacted(text: str) -> str:
    """`text` as it may be printed. What is no address stays as it is."""
    if "://" in text:
        split = _url(text)
        if split is None:
            return f"{text.partition('://')[0] if re.match(r'[a-zA-Z][a-zA-Z0-9+.-]*://', text) else ''}://{HIDDEN}"  # noqa: E501
        password, shown, query = split
        if not password and all(_shown(name) for name, _ in query):
            return text
        pairs = "&".join(
            f"{quote(name)}={quote(value, safe='/:,') if _shown(name) else HIDDEN}"
            for name, value in query
        )
        base, fragment = shown
        return urlunsplit((*base, pairs, fragment))
    if "=" not in text:
        return text
    found = _pairs(text)
    if found is None:
        return HIDDEN
    if all(_shown(name) for name, _ in found):
        return text
    return " ".join(f"{name}={value if _shown(name) else HIDDEN}" for name, value in found)


def _shown(name: str) -> bool:
    return name.lower() in _HARMLESS


def _is_secret(name: str) -> bool:
    return not _shown(name) and _SECRET.search(name) is not None


def _url(text: str) -> tuple[str, tuple[tuple[str, str, str], str], list[tuple[str, str]]] | None:
    """Password, what may be shown (scheme, host, path; fragment), and the query; None for what may
    be read in another way elsewhere."""
    try:
        parts = urlsplit(text)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        parts.port  # noqa: B018 - it raises for what is no port
    except ValueError:
        return None
    user, at, host = parts.netloc.rpartition("@")
    # A password with a raw "@", "/", "?" or "#" in it is cut by URL rules in its middle, and its
    # end would be shown as host or path.
    if (
        "@" in user
        or "@" in parts.path + parts.query + parts.fragment
        or any(character.isspace() for character in text)
        or parts.fragment
    ):
        return None
    name, colon, password = user.partition(":")
    netloc = f"{name}{colon}{HIDDEN if password else ''}{at}{host}"
    return password, ((parts.scheme, netloc, parts.path), parts.fragment), query


def _pairs(text: str) -> list[tuple[str, str]] | None:
    """The pairs of libpq's form; None for what is none."""
    found, position = [], 0
    while text[position:].strip():
        match = _PAIR.match(text, position)
        if match is None:
            return None
        found.append((match[1], match[2] if match[2] is not None else match[3]))
        position = match.end()
    return found
