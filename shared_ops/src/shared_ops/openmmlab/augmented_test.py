"""Testing with several views of every picture, because the config says so."""

import copy
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner, TestLoop
from mmseg.registry import LOOPS, MODELS
from torch.utils.data import DataLoader


@LOOPS.register_module()
class AugmentedTestLoop(TestLoop):  # type: ignore[misc]
    """Test as ``tools/test.py --tta`` does, without that option.

    The originals' ``_ms`` configs test with several scales and flips. Here such a config names this loop
    (``test_cfg = dict(type='AugmentedTestLoop')``) beside its ``tta_pipeline`` and ``tta_model``. Model, data loader
    and ``test_pipeline`` stay those of a single view, for whoever builds them otherwise. ``--tta`` changes nothing.

    Args:
        runner: its config has ``tta_pipeline`` and ``tta_model``.
        dataloader: settings of the data loader; the pipeline of its data set is replaced.
        evaluator: as for ``TestLoop``.
        fp16: as for ``TestLoop``.

    Raises:
        ValueError: the config has no ``tta_pipeline`` or no ``tta_model``.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict[str, Any] | DataLoader[Any],
        evaluator: Evaluator | dict[str, Any] | list[Any],
        fp16: bool = False,
    ) -> None:
        missing = [key for key in ('tta_pipeline', 'tta_model') if key not in runner.cfg]
        if missing:
            raise ValueError(
                f'test_cfg.type is {type(self).__name__}, but the config has no {" and no ".join(missing)}; add it, or '
                f'test a single view with test_cfg.type=TestLoop'
            )
        if isinstance(dataloader, dict):
            dataloader = copy.deepcopy(dataloader)
            dataloader['dataset']['pipeline'] = runner.cfg.tta_pipeline
        super().__init__(runner, dataloader, evaluator, fp16)

    def run(self) -> dict[str, float]:
        """Test with a model that averages the views, around the runner's."""
        single = self.runner.model
        model = single.module if is_model_wrapper(single) else single
        if not isinstance(model, BaseTTAModel):
            self.runner.model = MODELS.build({**self.runner.cfg.tta_model, 'module': model})
        try:
            metrics: dict[str, float] = super().run()
        finally:
            self.runner.model = single
        return metrics
