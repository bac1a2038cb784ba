"""Progress bars that say how many pictures go by in a second."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class RateColumn(ProgressColumn):
    """Pictures per second, or seconds per picture where they take longer."""

    def render(self, task: Task) -> Text:
        """Say how fast a task goes."""
        speed = task.finished_speed or task.speed
        return Text(say_rate(1 / speed) if speed else '')


def say_rate(seconds: float) -> str:
    """Say in words how long a picture takes.

    Args:
        seconds: for one picture, more than 0.
    """
    return f'{1 / seconds:.1f} pictures/s' if seconds <= 1 else f'{seconds:.1f} s/picture'


def picture_progress(console: Console) -> Progress:
    """Return progress bars that vanish at the end; what is printed on ``console`` meanwhile stays above them."""
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
