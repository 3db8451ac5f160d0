"""HTTP without a library: one call, one answer, redirects and errors as they come."""
import asyncio
import http.client
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: str


def call_blocking(method: str, url: str, body: str | None = None, headers: dict[str, str] | None = None) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


async def call(method: str, url: str, body: str | None = None, **headers: str) -> Answer:
    """Header names are written with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await asyncio.to_thread(call_blocking, method, url, body, named)


def location(url: str, answer: Answer) -> str:
    return urljoin(url, answer.headers["Location"])
