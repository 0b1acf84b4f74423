"""Whether a server answers: asked in one short request, however its network fails."""

import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener, getproxies

from gp_lab.errors import one_line

SECONDS = 2.0


def silence(url: str, proxies: Mapping[str, str]) -> str:
    """Why a server does not answer within `SECONDS`, "" if it does.

    The name is looked up, the connection made and the first line read in that time, through
    `proxies` (scheme -> URL) or those of the environment. Any answer is one but a failure of the
    server (5xx) or of the proxy (407); a certificate that is not known here shows a server, too.
    """
    found: list[str] = []
    # The look-up of a name has no time limit of its own.
    thread = threading.Thread(target=lambda: found.append(_ask(url, proxies)), daemon=True)
    thread.start()
    thread.join(SECONDS)
    return found[0] if found else _no_answer()


def _ask(url: str, proxies: Mapping[str, str]) -> str:
    try:
        through = ProxyHandler({**getproxies(), **proxies})
        opener = build_opener(through, _NoRedirects())
        opener.open(Request(url, method="HEAD"), timeout=SECONDS).close()
    except HTTPError as answer:
        failed = answer.code >= 500 or answer.code == 407
        return f"it answers with status {answer.code}" if failed else ""
    except TimeoutError:
        return _no_answer()
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            return _no_answer()
        if isinstance(error.reason, ssl.SSLError):
            return ""
        return one_line(error.reason) if isinstance(error.reason, OSError) else str(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return one_line(error)
    return ""


def _no_answer() -> str:
    return f"no answer within {SECONDS:g} seconds"


class _NoRedirects(HTTPRedirectHandler):
    """An answer that points elsewhere is an answer."""

    def redirect_request(self, *_: Any) -> None:
        return None
