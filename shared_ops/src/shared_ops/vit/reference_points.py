"""Where the queries of the adapter's deformable attentions look (ViT-Adapter, section 3.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

SpatialShapes = list[tuple[int, int]]


@dataclass(frozen=True)
class DeformInputs:
    """Positions of the queries and layout of the values of one deformable attention.

    Attributes:
        reference_points: ``[1, Lq, 1, 2]`` float32, (x, y) in [0, 1], the centres of the queries' pixels; one
            point serves all levels.
        spatial_shapes: (h, w) of every level of the values, Python integers.
        level_start_index: first position of every level in the values.
    """

    reference_points: Tensor
    spatial_shapes: SpatialShapes
    level_start_index: list[int]


def reference_points(spatial_shapes: SpatialShapes, device: torch.device) -> Tensor:
    """Return the pixel centres ``[1, sum(h*w), 1, 2]`` of all levels, (x, y) in [0, 1], float32.

    They stay float32 in a float64 model as well, as in the originals (adapter_modules.py).

    Example:
        >>> reference_points([(1, 2)], torch.device('cpu')).squeeze()
        tensor([[0.2500, 0.5000],
                [0.7500, 0.5000]])
    """
    points = []
    for height, width in spatial_shapes:
        y = torch.linspace(0.5, height - 0.5, height, dtype=torch.float32, device=device) / height
        x = torch.linspace(0.5, width - 0.5, width, dtype=torch.float32, device=device) / width
        grid_y, grid_x = torch.meshgrid(y, x, indexing='ij')
        points.append(torch.stack((grid_x, grid_y), -1).reshape(-1, 2))
    return torch.cat(points)[None, :, None]


def level_starts(spatial_shapes: SpatialShapes) -> list[int]:
    """Return the first position of every level when levels lie one after another.

    Example:
        >>> level_starts([(4, 6), (2, 3)])
        [0, 24]
    """
    starts = [0]
    for height, width in spatial_shapes[:-1]:
        starts.append(starts[-1] + height * width)
    return starts


def deform_inputs(height: int, width: int, device: torch.device) -> tuple[DeformInputs, DeformInputs]:
    """Return the inputs of the injectors and of the extractors for a grid of ``height`` x ``width`` tokens.

    Injectors: the tokens (stride 16) look at the maps of strides 8, 16 and 32. Extractors: the other way round.
    """
    pyramid = [(height * 2, width * 2), (height, width), (height // 2, width // 2)]
    tokens = [(height, width)]
    injector = DeformInputs(reference_points(tokens, device), pyramid, level_starts(pyramid))
    extractor = DeformInputs(reference_points(pyramid, device), tokens, level_starts(tokens))
    return injector, extractor
