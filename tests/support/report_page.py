"""What a report's page holds: the data that its script works on, and what its policy admits."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from gp_lab.report.edition import PAPERS

LINKS = {url for _, url in PAPERS.values()}
"""Where a reader may go from the page: to the papers."""


class Page(HTMLParser):
    """The tags of a page, its text without that of scripts and styles, and these by themselves."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._inside = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in ("script", "style"):
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.styles[-1] += data
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        """What stands in the page for its script."""
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found

    @property
    def policy(self) -> str:
        """The page's Content-Security-Policy."""
        (found,) = (a["content"] for _, a in self.tags if "http-equiv" in a)
        return str(found)

    def config(self, run: int) -> dict[str, str]:
        """Of a run of the data the keys and values, as texts."""
        pairs = self.data["pairs"]
        return {pairs[i][0]: pairs[i][1] for i in self.data["runs"][run]["config"]}

    def values(self, group: int) -> dict[str, str]:
        """What tells a group from the others, as texts."""
        return {
            self.data["pairs"][i][0]: self.data["pairs"][i][1]
            for i in self.data["groups"][group]["values"]
        }


def sources(texts: list[str]) -> set[str]:
    """What a policy calls these scripts, or styles."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}


def assert_self_contained(page: Page) -> None:
    """Nothing comes from elsewhere, and no script runs but the two that the policy names."""
    kinds = [a.get("type") for tag, a in page.tags if tag == "script"]
    assert kinds == ["application/json", None, "module"]
    directives = dict(d.strip().split(" ", 1) for d in page.policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert set(directives["script-src"].split()) == sources(page.scripts[1:])
    assert set(directives["style-src"].split()) == sources(page.styles)
    assert directives["img-src"] == "data:"
    assert not {"connect-src", "frame-src", "font-src"} & set(directives)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name) or "#"
            if (tag, name) == ("a", "href") and value in LINKS:
                continue
            assert re.match("#|data:image/(png|gif|webp);base64,", value)
