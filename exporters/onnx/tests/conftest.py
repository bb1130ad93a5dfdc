"""Makes the package ``planted`` known: what the tests of faults share."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
