"""The contracts of every component of this distribution."""

import pytest

from zoo.testing import contracts_of

pytestmark = pytest.mark.verify
globals().update(contracts_of("modalzoo-transformers"))
