"""Proves kernels and models on a machine with a GPU and without a network, and reads what was found.

python tests/gpu right    is every number right? (less than five minutes)
python tests/gpu fast     how fast is it? (less than five minutes)
python tests/gpu both     one after the other
python tests/gpu summary  what the results files of one card say
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from plan import ROOT, SECONDS, Folders, fast, prepare, right
from stages import Stages

HALVES = {'right': right, 'fast': fast}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='tests/gpu', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    device, work = os.environ.get('DEVICE', 'cuda'), Path(tempfile.gettempdir(), 'mmseg_gpu')
    for name in (*HALVES, 'both'):
        run = commands.add_parser(name)
        run.add_argument('--bundle', type=Path, default=Path('.gpu'), help='what nox -s gpu_bundle packed')
        run.add_argument('--out', type=Path, required=True, help='folder for the results')
        run.add_argument('--work', type=Path, default=work, help='folder for what it unpacks')
        run.add_argument(
            '--device', choices=['cuda', 'cpu'], default=device, help='cpu: a dry run on tiny shapes (or DEVICE=cpu)'
        )
    summary = commands.add_parser('summary')
    summary.add_argument('folder', type=Path, help='results of one card')
    return parser.parse_args(arguments)


def machine(device: str) -> dict[str, object]:
    """Say where this runs."""
    found = {'device': device, 'python': platform.python_version(), 'torch': importlib.metadata.version('torch')}
    found['date'] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
    if device == 'cuda':
        query = ['nvidia-smi', '--query-gpu=name,driver_version', '--format=csv,noheader']
        said = subprocess.run(query, capture_output=True, text=True).stdout
        found['gpu'], _, found['driver'] = said.strip().partition(', ')
    return found


def run(halves: list[str], folders: Folders, device: str) -> list[str]:
    """Run halves; return what failed."""
    folders.out.mkdir(parents=True, exist_ok=True)
    folders.work.mkdir(parents=True, exist_ok=True)
    failed = []
    for half in halves:
        stages = Stages(folders.out, half, SECONDS, ROOT, folders.variables())
        stages.note(machine=machine(device))
        if half == halves[0]:
            prepare(stages, folders, device)
        HALVES[half](stages, folders, device)
        failed += [f'{half}: {name}' for name in stages.failed]
    return failed


def main() -> None:
    """Run what the command line says."""
    arguments = parse()
    if arguments.command == 'summary':
        from report import summary

        print(summary(arguments.folder))
        return
    if not (arguments.bundle / 'wheels').is_dir():
        sys.exit(f'--bundle {arguments.bundle} has no folder of wheels: pack it with nox -s gpu_bundle')
    folders = Folders(*(path.resolve() for path in (arguments.bundle, arguments.out, arguments.work)))
    halves = list(HALVES) if arguments.command == 'both' else [arguments.command]
    failed = run(halves, folders, arguments.device)
    if failed:
        sys.exit(f'failed: {", ".join(failed)}')


if __name__ == '__main__':
    main()
