"""Checks of the strategies of several processes that need no second process."""

from pathlib import Path

from torch import nn


def check_blocks(model: nn.Module) -> None:
    """Assert that all blocks of a model's trunk and transformers are sharded one by one."""
    from shared_ops.openmmlab.sharding import is_block

    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and name.rsplit('.', 1)[-1] in ('blocks', 'layers', 'interactions')
    }
    assert lists
    for name, blocks in lists.items():
        assert all(map(is_block, blocks)), f'{name}: {type(blocks[0]).__name__}'


def check_strategies(config_dir: Path, leaf: Path, folder: Path) -> None:
    """Assert that every file of ``_base_/strategies`` goes with a config, and names what exists.

    Args:
        config_dir: configs of a package, which is imported.
        leaf: one of them, or a user's own.
        folder: for what is written.
    """
    from mmengine.config import Config
    from mmengine.registry import FUNCTIONS, MODEL_WRAPPERS, RUNNERS, STRATEGIES

    from shared_ops.openmmlab.sharding.blocks import block_wrap_policy

    files = sorted((config_dir / '_base_' / 'strategies').glob('*.py'))
    names = ['deepspeed_zero2', 'deepspeed_zero3', 'fsdp', 'fully_shard', 'fully_shard_bf16']
    assert [file.stem for file in files] == names
    for file in files:
        path = folder / file.name
        path.write_text(f"_base_ = ['{leaf.as_posix()}', '{file.as_posix()}']\n")
        config = Config.fromfile(path)
        assert RUNNERS.get(config.runner_type).__name__ == 'FlexibleRunner'
        assert STRATEGIES.get(config.strategy.type).__name__ == config.strategy.type
        wrapper = config.strategy.get('model_wrapper')
        if wrapper is not None:
            assert MODEL_WRAPPERS.get(wrapper.type).__name__ == wrapper.type
            assert FUNCTIONS.get(wrapper.auto_wrap_policy) is block_wrap_policy
        if config.strategy.type != 'DeepSpeedStrategy':  # which asks for DeepSpeed right here
            options = dict(work_dir=str(folder), env_kwargs=dict(launcher='none', randomness=dict(seed=0)))
            STRATEGIES.build({**config.strategy, **options})
