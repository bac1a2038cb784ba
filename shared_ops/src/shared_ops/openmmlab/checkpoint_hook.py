"""Training that starts from a checkpoint of another data set."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS

# Key in the state dict's metadata that says whether only the backbone has to fit.
HEADS_MAY_DIFFER = 'heads_may_differ'


@HOOKS.register_module()
class CheckpointFitHook(Hook):  # type: ignore[misc]
    """Let the heads of a checkpoint differ from the model's where it only starts a training (``load_from``).

    Its backbone has to fit all the same; head tensors that do not keep their initial values, and one warning lists
    them. Testing and ``resume`` take a checkpoint whole.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Mark the weights, which have been read but not copied yet."""
        # the loop of a runner that only tests is still a config
        trains = isinstance(runner._train_loop, BaseLoop)
        if trains and not runner._resume:
            checkpoint['state_dict']._metadata[''][HEADS_MAY_DIFFER] = True
