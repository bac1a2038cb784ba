"""Testing with several views of every picture: what averages them, and what does so because the config says so."""

import copy
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner, TestLoop
from mmengine.structures import PixelData
from mmseg.registry import LOOPS, MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import InputError


@MODELS.register_module()
class RunningMeanTTAModel(BaseTTAModel):  # type: ignore[misc]
    """Average the probabilities of a picture's views one after another, as the originals did.

    MMSegmentation's ``SegTTAModel`` gives the same label maps, but keeps the scores of all views, each as large as the
    picture: with ADE20K's 150 classes, 2 GB for a view of 2000 x 1700 pixels.

    Args:
        module: the model that sees a view at a time, or its config. It has more than one output channel.
        data_preprocessor: replaces that of the config.
    """

    def test_step(self, data: dict[str, Any]) -> list[SegDataSample]:
        """Return the first view's samples with the prediction of all views.

        ``seg_logits`` are the logarithms of the averaged probabilities.

        Args:
            data: ``inputs`` and ``data_samples``, each with one batch for every view.
        """
        merged: list[SegDataSample] = []
        means: list[Tensor] = []
        views = [dict(zip(data, batches, strict=True)) for batches in zip(*data.values(), strict=True)]
        for view in views:
            samples = self.module.test_step(view)
            probabilities = [sample.seg_logits.data.softmax(dim=0) / len(views) for sample in samples]
            if merged:
                for mean, summand in zip(means, probabilities, strict=True):
                    mean += summand
            else:
                merged, means = samples, probabilities
        for sample, mean in zip(merged, means, strict=True):
            prediction = PixelData(data=mean.argmax(dim=0, keepdim=True))
            sample.set_data({'pred_sem_seg': prediction, 'seg_logits': PixelData(data=mean.log())})
        return merged

    def merge_preds(self, data_samples_list: Any) -> Any:
        """Not needed: nothing is kept that would have to be merged."""
        raise NotImplementedError(f'{type(self).__name__} averages in test_step')


@LOOPS.register_module()
class AugmentedTestLoop(TestLoop):  # type: ignore[misc]
    """Test as ``tools/test.py --tta`` does, without that option.

    The originals' ``_ms`` configs test with several scales and flips. Here such a config names this loop
    (``test_cfg = dict(type='AugmentedTestLoop')``) beside its ``tta_pipeline`` and ``tta_model``. Model, data loader,
    ``test_pipeline`` and the validation during training stay those of a single view. ``--tta`` changes nothing.

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
            raise InputError(
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
