"""The pages of the site are the repository's own files, under their own paths: a link means the same here and there."""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "exporters", "plugins", "plugins/*", "zoo")
PAGES = ("README.md", "CHANGELOG.md", *(f"{folder}/README.md" for folder in FOLDERS), "docs/**/*.md")
# Pages that a search names before others, and after them.
BOOSTS = {"docs/glossary.md": 2, "docs/reference/contracts.md": 0.2}
REFERENCE = ROOT / "docs/reference"
# A public name in code style; links, headings and blocks of code are passed over.
NAME = re.compile(r"<(a|h\d|pre)\b.*?</\1>|(<code>zoo\.(\w+)(?![\w.])[^<]*</code>)", re.DOTALL)
# A link to a file, without its anchor and without addresses elsewhere.
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")


def pages() -> list[Path]:
    """Return the Markdown files that are pages of the site."""
    return sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})


def linked(page: Path) -> Iterator[Path]:
    """Yield the pictures and other files that a page refers to."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        if path.is_file() and path.suffix != ".md" and ROOT in path.parents:
            yield path


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and what they refer to, to the files of the site."""
    found = pages()
    for path in sorted({*found, *(file for page in found for file in linked(page))}):
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def places() -> dict[str, str]:
    """Return, by public name, its page of the reference; a module that is shown as a whole has no place."""
    themes = {path: path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md")}
    return {
        name: path.relative_to(ROOT).as_posix()
        for path, text in themes.items()
        for name in re.findall(r"^::: zoo\.(\w+)\n(?! )", text, re.MULTILINE)
    }


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Tell the search how much a page counts."""
    page.meta["search"] = {"boost": BOOSTS.get(page.file.src_uri, 1)}
    return markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link each public name in a text to its place in the reference."""
    found = places()

    def linked_name(match: re.Match[str]) -> str:
        code, name = match[2], match[3]
        file = files.get_file_from_path(found.get(name, ""))
        return (
            match[0]
            if code is None or file is None
            else f'<a href="{file.url_relative_to(page.file)}#zoo.{name}">{code}</a>'
        )

    return NAME.sub(linked_name, html)
