"""The documentation's site is searched for links that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.build_docs import dead_links


@pytest.mark.parametrize(
    ("link", "is_dead"),
    [
        ("other.html", False),
        ("other.html#there", False),
        ("#top", False),
        ("deep/picture%201.png", False),
        ("https://example.org/nothing", False),
        ("nowhere.html", True),
        ("other.html#nowhere", True),
        ("#nowhere", True),
        ("deep/picture%202.png", True),
    ],
)
def test_what_leads_nowhere_is_told(tmp_path: Path, link: str, is_dead: bool):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "picture 1.png").touch()
    (tmp_path / "index.html").write_text(f'<p id="top"><a href="{link}">x</a></p>')
    (tmp_path / "other.html").write_text('<p id="there">x</p>')
    assert dead_links(tmp_path) == ([f"index.html: {link}"] if is_dead else [])
