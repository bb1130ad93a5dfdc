"""The base of all contracts: a component needs a written reason to be excepted from a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

CHECK = "check"
DEFAULT_PARITY_ULPS = 16


class Contract:
    """The base of every contract.

    A component that cannot pass a test says so itself, by the test's name and with a reason: ``contract_exceptions =
    {"test_padding_changes_nothing": "…"}``. The test is then skipped, and the reason is shown. Use the key ``check`` if
    ``zoo plugin check`` cannot build the component. A subclass may have such an attribute too, if another test makes
    one unnecessary; it cannot change a test of its contract.
    """

    subject: ClassVar[str]  # the fixture that returns the component
    contract_exceptions: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        """Raise TypeError if a subclass changes a test of its contract."""
        inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
        changed = sorted(name for name in vars(cls) if name.startswith("test_") and name in inherited)
        if changed:
            raise TypeError(
                f"{cls.__name__} changes {changed[0]} of its contract; give it another name, or let the component say "
                f'why it cannot pass: contract_exceptions = {{"{changed[0]}": "the reason"}}'
            )

    @pytest.fixture(autouse=True)
    def _stated(self, request: pytest.FixtureRequest) -> None:
        """Skip the tests that the component is excepted from; record its stated deviations from defaults."""
        component = request.getfixturevalue(self.subject)
        named = getattr(component, "contract_exceptions", {})
        unknown = [name for name in named if name != CHECK and not hasattr(self, name)]
        assert not unknown, f"contract_exceptions names {unknown[0]!r}, which is not a test of this contract"
        test = request.function.__name__
        reason = exception_of(component, test) or exception_of(self, test)
        if reason is not None:
            pytest.skip(reason)
        ulps = getattr(component, "parity_ulps", DEFAULT_PARITY_ULPS)
        if ulps != DEFAULT_PARITY_ULPS:
            assert _is_reason(component.parity_reason), f"parity_ulps = {ulps} needs its reason in parity_reason"
            request.node.user_properties.append(("stated", f"parity_ulps = {ulps}: {component.parity_reason}"))


def exception_of(component: Any, key: str) -> str | None:
    """Return why a component, or its class, is excepted from a test or from the check; None if it is not."""
    exceptions: Mapping[str, str] = getattr(component, "contract_exceptions", {})
    reason = exceptions.get(key)
    assert reason is None or _is_reason(reason), f"the exception from {key} needs its reason, in words"
    return reason


def _is_reason(text: object) -> bool:
    return isinstance(text, str) and len(text.split()) > 1
