"""Where the extra is not installed there is nothing to test here: `make openvino` installs it and tests it."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("openvino") else ["tests/*", "zoo_openvino/*"]
