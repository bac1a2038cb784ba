"""Files that nobody should trust."""

import os
from pathlib import Path


class RunsCode:
    """Makes a folder, the marker, when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)
