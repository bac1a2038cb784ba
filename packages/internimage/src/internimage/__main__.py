"""``python -m internimage``."""

import sys

from shared_ops.openmmlab.cli import main

if __name__ == '__main__':
    sys.exit(main('internimage'))
