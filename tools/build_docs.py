"""Builds the documentation as a site: ``python tools/build_docs.py [--out FOLDER]`` (``make docs``).

Sphinx reads what is written (``docs/``, the README, the changelog) and what is made here: a page of the reference for
each room of the library, from its docstrings, the gallery, and the steps on the way to materials, whose pictures the
project draws. A warning is an error, and so is a link that leads nowhere.
"""

from __future__ import annotations

import argparse
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = {
    "start": ("Top level", ("optimize", "plan", "renderer", "world", "errors")),
    "model": ("Model: grid, palette, camera, light, scene, settings", ()),
    "formats": ("Formats", ()),
    "voxelize": ("Voxelize: triangles to blocks", ()),
    "visibility": ("Visibility: which face a pixel shows", ()),
    "shading": ("Shading: faces to pixels", ()),
    "assignment": ("Assignment: what choices cost, and the best one", ()),
    "descent": ("Descent: gradients", ()),
    "guidance": ("Guidance: losses without pictures", ()),
    "occupancy": ("Occupancy: cells that may hold a block", ()),
    "report": ("Report: results and events", ()),
}
GALLERY = (
    ("Village", "1", "1", (), "1,408 blocks from 8 pictures."),
    ("Village with tiles", "3", "3", (), "The same with textures on the faces, from 4 pictures."),
    ("Hills", "2", "2", ("--smoothness", "0.01"), "88,767 blocks from 6 pictures, alike where they may be."),
)
_PAGE_LINK = re.compile(r"\[docs/[\w-]+\.md\]\(")  # pages of the site are called by their titles there
_MARK = "objects.inv"  # every site has it
_KERNELS = ("_triton", "_numba")  # of no use by themselves; Triton may not be there
PICTURES = ("target", "after", "confidence")


def main() -> None:
    """Builds the site and says where it is."""
    parser = argparse.ArgumentParser(description="Build the documentation as a site.")
    parser.add_argument("--out", type=Path, default=PROJECT / "build" / "docs", help="its folder (default: build/docs)")
    out = parser.parse_args().out
    if out.exists() and not (out / _MARK).is_file():
        sys.exit(f"{out}: exists and is no site; choose another folder, or remove it first")
    with tempfile.TemporaryDirectory() as temporary:
        source, site = Path(temporary) / "docs", Path(temporary) / "site"
        _stage(source)
        _write_reference(source / "reference")
        _draw_gallery(source, Path(temporary) / "results")
        _run("tools/draw_steps.py", str(source / "steps"))
        options = ["-W", "--keep-going", "-q", "-E", "-b", "html", "-d", str(Path(temporary) / "cache")]
        _run("-m", "sphinx", *options, str(source), str(site))
        dead = dead_links(site)
        if dead:
            sys.exit("the documentation has dead links:\n" + "\n".join(dead))
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(site, out)
    print(out / "index.html")


def _stage(source: Path) -> None:
    """Brings the written pages together: those that are for the site alone lie in ``docs/site``."""
    shutil.copytree(PROJECT / "docs", source, ignore=shutil.ignore_patterns("site"))
    shutil.copytree(PROJECT / "docs" / "site", source, dirs_exist_ok=True)
    shutil.copytree(PROJECT / "farm", source.parent / "farm")  # what pages offer for download
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (source.parent / "README.md").write_text(_PAGE_LINK.sub("[](", readme), encoding="utf-8")
    for name in ("changelog", "contributing"):
        shutil.copy(PROJECT / f"{name.upper()}.md", source / f"{name}.md")
    index = source / "index.md"
    listed = index.read_text(encoding="utf-8")
    others = sorted(page.stem for page in (PROJECT / "docs").glob("*.md") if f"\n{page.stem}\n" not in listed)
    index.write_text(listed.replace("OTHERS", "\n".join(others)), encoding="utf-8")


def _write_reference(folder: Path) -> None:
    """Writes a page for each room; what a module has is read from it when Sphinx imports it."""
    folder.mkdir()
    for room, (title, named) in ROOMS.items():
        inside = pkgutil.iter_modules([str(PROJECT / "blockcore" / room)])
        names = named or (room, *(f"{room}.{found.name}" for found in inside if not found.name.endswith(_KERNELS)))
        modules = [f"blockcore.{name}" for name in names]
        parts = [f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n" for module in modules]
        (folder / f"{room}.md").write_text("\n".join([f"# {title}\n", *parts]), encoding="utf-8")
    listed = "\n".join(ROOMS)
    (folder / "index.md").write_text(
        f"# Reference\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n", encoding="utf-8"
    )


def _draw_gallery(source: Path, results: Path) -> None:
    """Optimises the cases of the gallery and shows the first view of each."""
    pictures = source / "gallery"
    lead = "In each row the picture to match, the blocks found, and how sure they are: blue is sure, red is not."
    parts = ["# Gallery\n", f"{lead}\n"]
    pictures.mkdir()
    for title, number, dataset, settings, words in GALLERY:
        data, out = PROJECT / "tests" / "data", results / number
        where = ("--map", f"{data}/maps/{number}/map.json", "--dataset", f"{data}/datasets/{dataset}")
        _run("-m", "blockcore", "optimize", *where, *settings, "--progress", "none", "--out", str(out))
        parts.append(f"## {title}\n\n{words}\n")
        for kind in PICTURES:
            shutil.copy(out / "views" / f"000_{kind}.png", pictures / f"{number}_{kind}.png")
            parts.append(f'![{title}: {kind}](gallery/{number}_{kind}.png){{width="32%"}}')
    (source / "gallery.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


class _Page(HTMLParser):
    """What a page leads to, and the places in it that others may lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag leads to, and its name."""
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        link = given.get("href") or given.get("src")
        if link and not urlsplit(link).scheme:
            self.links.add(link)


def dead_links(site: Path) -> list[str]:
    """Returns the links of a site that lead nowhere in it, each with its page; those to elsewhere are not followed."""
    pages = {path.resolve(): _Page(path) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in sorted(page.links):
            place, anchor = urldefrag(link)
            target = (path.parent / unquote(urlsplit(place).path)).resolve() if place else path
            found = pages[target].anchors if target in pages else {""} if target.is_file() else set()
            if unquote(anchor) not in found:
                dead.append(f"{path.relative_to(site.resolve())}: {link}")
    return dead


def _run(*words: str) -> None:
    done = subprocess.run([sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the documentation cannot be built: {' '.join(words)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
