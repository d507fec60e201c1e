"""Calls to a provider over HTTP, and what a status means: the same for every dialect.

2xx is the answer. 404 is not found. Another 4xx is a definite no, if its body reads as one, except those that leave open what
became of the request (408, 409, 425). Everything else is unknown: a time-out, a broken connection, a server's error, a redirect,
an answer that cannot be read. Numbers with a point are read as decimals, never as floats.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import httpx

from connectors.answers import NotFound, Refused, Unknown

LEAVES_IT_OPEN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}

Sign = Callable[[str, str, bytes], Mapping[str, str]]
"""The headers that a provider wants, for a method, a target and a body."""

ReadRefusal = Callable[[Any], tuple[str, str]]
"""The code and the text of a refusal, of its body."""


NOT_UNDERSTOOD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading raises where something is not as it should be."""


@contextmanager
def understood() -> Iterator[None]:
    """Raise `Unknown` where an answer does not read as it should."""
    try:
        yield
    except NOT_UNDERSTOOD as error:
        msg = f"{type(error).__name__}: {error}"[:300]
        raise Unknown(msg) from error


class Calls:
    """One provider's address, with a connection that is kept open; threads may share it."""

    def __init__(self, base_url: str, timeout_seconds: float, sign: Sign, refusal: ReadRefusal) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=timeout_seconds)
        self._sign = sign
        self._refusal = refusal

    def get(self, path: str, **query: str | int) -> Any:
        """Ask for something. Raises all that `connectors.answers` has."""
        return self._call("GET", path, query, b"", {})

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        """Ask for something to be done. Raises all that `connectors.answers` has."""
        content = json.dumps(body, separators=(",", ":")).encode()
        return self._call("POST", path, {}, content, {"Content-Type": "application/json", **(headers or {})})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _call(
        self, method: str, path: str, query: Mapping[str, str | int], content: bytes, headers: Mapping[str, str]
    ) -> Any:
        request = self._client.build_request(method, path, params=query or None, content=content, headers=headers)
        target = request.url.raw_path.decode()
        request.headers.update(self._sign(method, target, content))
        try:
            response = self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            msg = f"{type(error).__name__}: {error}"[:200]
            raise Unknown(msg) from error
        return self._read(response)

    def _read(self, response: httpx.Response) -> Any:
        status = response.status_code
        if response.is_success:
            with understood():
                return json.loads(response.content, parse_float=Decimal)
        if status == HTTPStatus.NOT_FOUND:
            raise NotFound(response.text[:200])
        if response.is_client_error and status not in LEAVES_IT_OPEN:
            with understood():
                code, text = self._refusal(json.loads(response.content))
            raise Refused(code, text)
        msg = f"status {status}"
        raise Unknown(msg)
