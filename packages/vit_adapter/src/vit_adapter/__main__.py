"""``python -m vit_adapter``."""

import sys

from shared_ops.openmmlab.cli import main

if __name__ == '__main__':
    sys.exit(main('vit_adapter'))
