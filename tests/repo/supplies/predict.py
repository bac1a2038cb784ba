"""What the page about ``predict`` says that the user has beside the READMEs' things: a video."""

from __future__ import annotations

from pathlib import Path


def supply_predict(target: Path) -> None:
    """Write a video of three frames."""
    import cv2
    import numpy as np

    writer = cv2.VideoWriter(str(target / 'clip.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 25, (192, 128))
    random = np.random.RandomState(0)
    for _ in range(3):
        small = random.randint(0, 256, (4, 6, 3)).astype(np.uint8)
        writer.write(cv2.resize(small, (192, 128), interpolation=cv2.INTER_NEAREST))
    writer.release()
