"""Peak memory of training steps, and what each way to use less of it saves: ``training_memory.py --help``.

Every setting has a process of its own, which trains a published model on random pictures and reports what an update
needs at its peak, weights and optimizer included: on the CPU the resident memory of the process beyond what it had
before the model was built, on a GPU what PyTorch's allocator handed out. Results go to
``<out>/<package>-<device>.json``, those that ``.github/docs/your_own_data.md`` shows to ``results/training_memory``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from model_tables import training_memory_table

CONFIGS = {
    'vit_adapter': 'ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py',
    'vit_comer': 'ade20k/upernet_vit_comer_tiny_512_160k_ade20k.py',
    'internimage': 'ade20k/upernet_internimage_t_512_160k_ade20k.py',
}

# Side of the pictures of the first update, in pixels.
_SMALL = 64


@dataclass(frozen=True)
class Setting:
    """One way to train.

    Attributes:
        name: for the table.
        crop: side of the pictures in pixels.
        batch: pictures in an iteration.
        accumulate: iterations for an update.
        recompute: compute the backbone's activations again in the backward.
        wrapper: type of the optimizer wrapper.
    """

    name: str
    crop: int
    batch: int
    accumulate: int = 1
    recompute: bool = False
    wrapper: str = 'OptimWrapper'


def settings_of(crop: int, batch: int) -> list[Setting]:
    """Return the ways that the guide advises, each alone and all together."""
    plain = Setting('as published', crop, batch)
    bfloat16 = 'Bfloat16OptimWrapper'
    return [
        plain,
        replace(plain, name='activations recomputed', recompute=True),
        replace(plain, name='bfloat16', wrapper=bfloat16),
        # not one: UPerNet's batch norm of a whole picture's mean needs two
        replace(plain, name='two pictures, gradients added up', batch=2, accumulate=batch // 2),
        replace(plain, name='three quarters of the crop', crop=crop * 3 // 4 // 32 * 32),
        replace(
            plain,
            name='all but the crop',
            recompute=True,
            wrapper=bfloat16,
            batch=2,
            accumulate=batch // 2,
        ),
    ]


def peak_of_update(package: str, setting: Setting, device: str) -> int:
    """Train in this process, and return the bytes in use at the peak of an update."""
    config_dir = importlib.import_module(package).CONFIG_DIR
    import torch
    from memory import CLEAR, _status
    from mmengine.config import Config
    from mmengine.model import revert_sync_batchnorm
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    init_default_scope('mmseg')
    torch.manual_seed(0)
    config = Config.fromfile(config_dir / CONFIGS[package])
    config.model.backbone.with_cp = setting.recompute
    config.model.data_preprocessor.update(size=None, size_divisor=1)  # nothing has to be filled up
    config.optim_wrapper.type = setting.wrapper
    config.optim_wrapper.accumulative_counts = setting.accumulate
    before = _status('VmRSS')
    model = revert_sync_batchnorm(MODELS.build(config.model)).to(device).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)

    def update(crop: int, batch: int) -> None:
        labels = PixelData(data=torch.randint(0, 150, (1, crop, crop)))
        sample = SegDataSample(gt_sem_seg=labels, metainfo={'img_shape': (crop, crop)})
        picture = torch.randint(0, 256, (3, crop, crop), dtype=torch.uint8)
        for _ in range(setting.accumulate):
            model.train_step({'inputs': [picture] * batch, 'data_samples': [sample] * batch}, wrapper)

    update(_SMALL, 2)  # the optimizer's state is made in the first update
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    else:
        CLEAR.write_text('5')
    update(setting.crop, setting.batch)
    return torch.cuda.max_memory_allocated() if device == 'cuda' else _status('VmHWM') - before


def in_own_process(package: str, setting: Setting, device: str, threads: int | None) -> dict[str, object]:
    """Measure a setting in a fresh process.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, __file__, package, '--device', device, '--setting', json.dumps(asdict(setting))]
    command += ['--threads', str(threads)] if threads else []
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise SystemExit(f'{setting.name}: the process ended with {result.returncode}, for the reason above')
    return {**asdict(setting), **json.loads(result.stdout.splitlines()[-1])}


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('package', choices=list(CONFIGS), metavar='PACKAGE', help=', '.join(CONFIGS))
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--crop', type=int, default=512, help='side of the pictures in pixels (default: %(default)s)')
    parser.add_argument('--batch', type=int, default=4, help='pictures in an iteration (default: %(default)s)')
    parser.add_argument('--threads', type=int, help='all that PyTorch would take unless given')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmarks/training_memory'))
    parser.add_argument('--setting', help=argparse.SUPPRESS)  # what a process of in_own_process measures
    arguments = parser.parse_args()
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.setting:
        setting = Setting(**json.loads(arguments.setting))
        print(json.dumps({'bytes': peak_of_update(arguments.package, setting, arguments.device)}))
        return
    from machine import describe

    if arguments.batch < 2 or arguments.crop < _SMALL:
        parser.error(f'--batch has to be 2 at least, --crop {_SMALL}')
    measured: list[dict[str, object]] = []
    config = Path(CONFIGS[arguments.package]).stem
    results = {'machine': describe(arguments.device), 'config': config, 'measured': measured}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f'{arguments.package}-{arguments.device}.json'
    for setting in settings_of(arguments.crop, arguments.batch):
        measured.append(in_own_process(arguments.package, setting, arguments.device, arguments.threads))
        print(f'{setting.name}: {measured[-1]["bytes"] / 2**30:.2f} GiB', file=sys.stderr)
        path.write_text(json.dumps(results, indent=1) + '\n', encoding='utf-8')  # whatever befalls the next one
    print(f'{training_memory_table(results)}\n\nwrote {path}')


if __name__ == '__main__':
    main()
