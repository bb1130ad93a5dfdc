"""Makes the module ``three_inputs`` importable, which the tests of joint models share."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
