"""Writes what became of the planted faults, and how strict each component is, into a page between its marks."""

from collections import defaultdict

from zoo.discovery.components import component_class
from zoo.discovery.plugins import installed
from zoo.modules import Decoder, Encoder

DEFAULT_ULPS = Encoder.parity_ulps


def score(outcomes):
    """Return the sentence that sums up the table."""
    equal = [outcome for outcome in outcomes if outcome.fault.equivalent]
    rest = [outcome for outcome in outcomes if not outcome.fault.equivalent]
    caught = [outcome for outcome in rest if outcome.caught]
    asked = [outcome for outcome in caught if outcome.named is not None]
    named = [outcome for outcome in asked if outcome.named]
    return (
        f"**Of {len(outcomes)} planted faults, {len(equal)} change no answer. Of the other {len(rest)} the contract "
        f"caught {len(caught)}, and the bisect named the place of {len(named)} of {len(asked)}.**"
    )


def table(outcomes):
    """Return one row per fault, by kind."""
    kinds = defaultdict(list)
    for outcome in outcomes:
        kinds[outcome.fault.kind].append(outcome)
    lines = []
    for kind, rows in kinds.items():
        lines += [f"### {kind.capitalize()}", "", "| fault | planted in | caught by | bisect |", "|---|---|---|---|"]
        lines += [f"| {row.fault.name} | {row.fault.structure} | {_caught(row)} | {_named(row)} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def strictness():
    """Return a row for each encoder and decoder that states another K than the usual, with its reason."""
    plugins = installed()
    lines = ["| component | K | reason |", "|---|---|---|"]
    for kind, expected in (("encoder", Encoder), ("decoder", Decoder)):
        for name in sorted(plugins.names(kind)):
            found = component_class(plugins, kind, name, expected)
            if found.parity_ulps != DEFAULT_ULPS:
                lines.append(f"| {kind} `{name}` | {found.parity_ulps} | {found.parity_reason} |")
    return "\n".join(lines)


def rewritten(text, outcomes):
    """Return a page with the text between its marks renewed."""
    parts = {"score": f"{score(outcomes)}\n\n{table(outcomes)}", "strictness": strictness()}
    for name, content in parts.items():
        before, _, rest = text.partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- end of {name} -->")
        text = f"{before}<!-- {name} -->\n\n{content.strip()}\n\n<!-- end of {name} -->{after}"
    return text


def _caught(outcome):
    if outcome.caught:
        return f"{outcome.check}: {outcome.case}" if outcome.case else outcome.check
    return f"changes no answer: {outcome.fault.equivalent}" if outcome.fault.equivalent else "**nothing**"


def _named(outcome):
    return {True: "named", False: "**missed**", None: ""}[outcome.named]
