"""Refuses wordings that a reader of good English stumbles over: ``python tests/words.py [FILE ...]``, in `make lint`.

Only prose is looked at: the docstrings, comments and messages of Python, Markdown outside of its code, and the whole
text of JavaScript and HTML. Each refused wording is printed with its file, its line and a plain one.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent

LEFT_OUT = (
    ".venv",
    "build",
    "dist",
    "runs",
    "bundles",
    "quickstart",
    "node_modules",
    "tests/words.py",
    "tests/test_words.py",
    "tests/released",
    "tests/scaffolds",
)
SUFFIXES = (".py", ".md", ".js", ".html")

_UNIT = "row|line|value|file|step|graph|word|batch|page|entry|input|term|column|pair|pixel|sample"
_COUNTED = "one|two|four|nats|bits|" + "|".join(f"{unit}s?" for unit in _UNIT.replace("entry", "entrie").split("|"))
_VERB = "is|are|was|were|has|have|had|does|do|can|cannot|needs?|may"

# What is refused, as a regular expression in which a space is any white space, and what to write.
RULES = (
    (
        rf"\bwhere (it|that|this|there|they|none|both|nothing|neither|no \w+) ({_VERB}) \w+",
        'a condition begins with "if"',
    ),
    (r"(?:^|[.;:] )Where [^.?`]{3,100}, \w+", 'a condition begins with "If" or "When"'),
    (r"\b[Rr]aises? (?:\w+\.)?`*\w+`*,?[^.;]{0,60}? where\b", '"raises … if …"'),
    (
        r"(?<!\bthere)(?<!\bThere) (is|are|was|were) no "
        r"(?!longer|more|less|worse|better|faster|slower|matter|way|need|reason|doubt)\w+",
        '"is not a …", or "has no …"',
    ),
    (rf"\ban? ({_UNIT}) (an?|each) \w+", '"one … per …"'),
    (rf"\b({_COUNTED}) an? ({_UNIT})\b", '"… per …"'),
    (r"\bthat one is none\b", "name what is missing"),
    (r"\bthe end (?:of \w+ )?is not read\b", '"is truncated"'),
    (r"\bwhat (is|was) found\b", '"the result"'),
    (r"\bwhat (reads|makes|holds|stands|tells|writes) \w+", "name the thing, then say what it does"),
    (r"\bwhat \w+ what\b", "name both things"),
    (r"\bof one's own\b", '"your own"'),
    (r"\b[Pp]ut\w* [^.]{0,60}?to (an?|its|their|the) contracts?\b", '"check against its contracts"'),
    (r"\bbut for\b", '"except for"'),
    (r"\bnothing but\b", '"only"'),
    (r"\blest\b", '"so that … not"'),
    (r"[.:;,] [Ww]ho \w+s\b", '"if you …"'),
    (r"\bstands? (in(?! (for|front))|at|below|above|there|here|beside|between|once)\b", '"is", or "lies"'),
    (r"\bas (it|they) stands?\b", '"unchanged"'),
    (r"\b[Tt]ells (what|which|how|where|of)\b", '"says", or "shows"'),
    (r"\b(is|are|was|were) told\b(?! (that|to|apart|about)\b)", '"is reported"'),
    (r"\b[Mm]end(s|ed|ing)?\b", '"correct", or "repair"'),
    (r"\b[Ww]hoever\b", '"anyone who"'),
    (r"\bin silence\b", '"silently"'),
    (r"\bof (its|their|our|your) own(?! \w)", '"its own …"'),
    (r"; there is …", '"; available: …"'),
    (r"\bgo(es|ing)? on (by|with|without|from)\b", '"continue"'),
)
_RULES = tuple((re.compile(pattern.replace(" ", r"\s+"), re.MULTILINE), plain) for pattern, plain in RULES)


def refused(prose: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the refused wording and a plain one, for each that stands in ``prose``."""
    for line, text in prose:
        for rule, plain in _RULES:
            for match in rule.finditer(text):
                yield line + text[: match.start()].count("\n"), " ".join(match[0].split()), plain


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of each piece of prose in a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _comments(text)
        yield from _strings(ast.parse(text))
    elif path.suffix == ".md":
        yield 1, _outside_of_code(text)
    else:
        yield 1, text


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments; those on lines that follow each other are one text."""
    first, last, lines = 0, 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if lines and token.start[0] != last + 1:
                yield first, "\n".join(lines)
                lines = []
            first, last = first if lines else token.start[0], token.start[0]
            lines.append(token.string.lstrip("#: "))
    if lines:
        yield first, "\n".join(lines)


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the texts of several words, with "…" in place of each value of an f-string."""
    if isinstance(node, ast.JoinedStr):
        yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
        yield node.lineno, node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def _outside_of_code(page: str) -> str:
    """Return a page with as many lines, but its blocks and spans of code left out."""
    blank = re.sub(r"^( *)(```+|~~~+).*?^\1\2 *$", lambda block: "\n" * block[0].count("\n"), page, flags=re.M | re.S)
    return re.sub(r"(`+)[^`]+?\1", lambda span: "`…`" + "\n" * span[0].count("\n"), blank)


def files_of(places: Sequence[Path]) -> list[Path]:
    """Return the files of prose in ``places``, each of which is a file or a folder."""
    files = {path for place in places for path in ([place] if place.is_file() else place.rglob("*"))}
    left_out = [ROOT / place for place in LEFT_OUT]
    return sorted(
        path
        for path in files
        if path.suffix in SUFFIXES and path.is_file() and not any(path.is_relative_to(place) for place in left_out)
    )


def main(arguments: Sequence[str]) -> int:
    """Print what is refused in the files and folders that are named, or in the whole tree; return the exit code."""
    count = 0
    for path in files_of([Path(name).resolve() for name in arguments] or [ROOT]):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        for line, words, plain in refused(prose_of(path)):
            count += 1
            print(f'{name}:{line}: "{words}": {plain}')
    if count:
        print(f"wordings to make plain: {count}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
