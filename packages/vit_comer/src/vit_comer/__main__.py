"""``python -m vit_comer``."""

import sys

from shared_ops.openmmlab.cli import main

if __name__ == '__main__':
    sys.exit(main('vit_comer'))
