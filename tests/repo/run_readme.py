"""Run every ``bash`` and ``python`` block of the READMEs, in order, in a copy of the repository.

What a command needs and a test cannot download is supplied under the names that the READMEs use: a few drawn
pictures in the folders of ADE20K, and a checkpoint with the right keys and random weights. The commands
themselves run as they are written. ``nox`` lines other than the demo are checked against ``.ci/run``, which
runs them, instead of being run twice.

    python tests/repo/run_readme.py            # run everything
    python tests/repo/run_readme.py --write    # write the generated tables anew
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = [
    ROOT / 'README.md',
    ROOT / 'shared_ops' / 'README.md',
    ROOT / 'packages' / 'vit_adapter' / 'README.md',
    ROOT / 'packages' / 'vit_comer' / 'README.md',
    ROOT / 'packages' / 'internimage' / 'README.md',
]
BLOCK = re.compile(r'^```(bash|python)\n(.*?)^```', flags=re.M | re.S)
CONFIG = 'upernet_deit_adapter_tiny_512_160k_ade20k'


def copy_repository(target: Path) -> None:
    """Copy what git would clone, as it is in the working tree, links as links."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard']
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_symlink() or (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def supply_data(target: Path) -> None:
    """Put pictures and a checkpoint where the READMEs say that the user has them."""
    import vit_adapter

    import cv2
    import numpy as np
    import torch
    from mmengine import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    random = np.random.RandomState(0)
    data = target / 'data' / 'ade' / 'ADEChallengeData2016'
    for split in ['training', 'validation']:
        for kind, suffix, shape in [('images', 'jpg', (4, 6, 3)), ('annotations', 'png', (4, 6))]:
            (data / kind / split).mkdir(parents=True)
            for index in range(4):
                small = random.randint(0, 151, shape).astype(np.uint8)
                picture = cv2.resize(small, (192, 128), interpolation=cv2.INTER_NEAREST)
                cv2.imwrite(str(data / kind / split / f'scene_{index}.{suffix}'), picture)
    shutil.copy(data / 'images' / 'validation' / 'scene_0.jpg', target / 'photo.jpg')

    register_all_modules()
    config = Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py')
    config.model.backbone.pretrained = None
    model = MODELS.build(config.model)
    (target / 'checkpoints').mkdir()
    torch.save({'state_dict': model.state_dict()}, target / 'checkpoints' / f'{CONFIG}.pth')


def commands_run_elsewhere(script: str) -> list[str]:
    """Return the ``nox`` lines of a block that ``.ci/run`` runs; they are not run here again.

    Raises:
        SystemExit: a line names a session that ``.ci/run`` does not run.
    """
    lines = re.findall(r'--session ([\w ]+)', (ROOT / '.ci' / 'run').read_text())
    ran = {name for line in lines for name in line.split()}
    elsewhere = []
    for line in script.splitlines():
        words = line.split('#')[0].split()
        if words[:1] != ['nox'] or 'demo' in words:
            continue
        names = words[2 : words.index('--')] if '--' in words else words[2:]
        sessions = {re.split(r'[("\']', name.strip('"\''))[0] for name in names}
        if words[1:2] == ['-s'] and not sessions <= ran:
            raise SystemExit(f'README says {line!r}, but .ci/run runs only {sorted(ran)}')
        elsewhere.append(line)
    return elsewhere


def run_blocks(readme: Path, target: Path) -> int:
    count = 0
    for language, script in BLOCK.findall(readme.read_text(encoding='utf-8')):
        for line in commands_run_elsewhere(script) if language == 'bash' else []:
            print(f'# run by .ci/run: {line}', flush=True)
            script = script.replace(line + '\n', '')
        print(f'# {readme.relative_to(ROOT)}, {language}\n{script}', flush=True)
        command = ['bash', '-euo', 'pipefail', '-c', script] if language == 'bash' else [sys.executable, '-c', script]
        if subprocess.run(command, cwd=target).returncode:
            raise SystemExit(f'{readme.relative_to(ROOT)}: this {language} block failed:\n{script}')
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write', action='store_true', help='write the generated tables and stop')
    arguments = parser.parse_args()
    from readme_tables import check_tables, write_tables

    if arguments.write:
        write_tables()
        return
    check_tables()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / 'clone'
        copy_repository(target)
        supply_data(target)
        count = sum(run_blocks(readme, target) for readme in READMES)
    print(f'{count} passed, 0 failed')


if __name__ == '__main__':
    main()
