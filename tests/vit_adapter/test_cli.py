"""``python -m vit_adapter``."""

import json
from pathlib import Path

import vit_adapter

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler

from shared_ops.openmmlab.cli import main
from support.tiny import build, run_command, write_config

CONFIG = 'upernet_deit_adapter_tiny_512_160k_ade20k'


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Path:
    """A folder with a config, a data set and a checkpoint of random weights."""
    folder = tmp_path_factory.mktemp('project')
    config = write_config(folder / 'tiny.py', folder / 'data')
    torch.manual_seed(0)
    torch.save({'state_dict': build(config).state_dict()}, folder / 'tiny.pth')
    return folder


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, channels)).astype(np.uint8)


def losses(work_dir: Path) -> dict[int, float]:
    """Return the loss of every iteration that was logged, runs after one another."""
    found = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        records = [json.loads(line) for line in file.read_text().splitlines()]
        found.update({record['step']: record['loss'] for record in records if 'loss' in record})
    return found


def test_ls_prints_one_name_a_line(capsys) -> None:
    assert main('vit_adapter', ['ls']) == 0
    names = capsys.readouterr().out.splitlines()
    paths = vit_adapter.CONFIG_DIR.glob('[!_]*/*.py')
    assert names == sorted(f'{path.parent.name}/{path.stem}' for path in paths)
    assert len(names) == 41


@pytest.mark.parametrize('name', [CONFIG, f'{CONFIG}.py', f'ade20k/{CONFIG}'])
def test_path_is_absolute(name: str, capsys) -> None:
    assert main('vit_adapter', ['path', name]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.is_absolute()
    assert path.resolve() == (vit_adapter.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py').resolve()


@pytest.mark.parametrize('command', [['path'], ['train'], ['test'], ['predict']])
def test_unknown_name_suggests_the_nearest(command: list[str], capsys, tmp_path: Path) -> None:
    rest = {'test': ['x.pth'], 'predict': ['x.png', '--out', str(tmp_path)]}.get(command[0], [])
    assert main('vit_adapter', [*command, CONFIG.replace('deit', 'diet'), *rest]) == 2
    error = capsys.readouterr().err
    assert f'Did you mean {CONFIG}' in error
    assert 'ls` lists all' in error
    assert 'Traceback' not in error


@pytest.mark.parametrize('command', ['train', 'test'])
def test_help_of_the_tools(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main('vit_adapter', [command, '--help'])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert '--launcher' in out
    assert out.startswith(f'python -m vit_adapter {command} CONFIG')


def test_config_comes_first(capsys) -> None:
    assert main('vit_adapter', ['train', '--amp', CONFIG]) == 2
    assert "train needs the config first, but got '--amp'" in capsys.readouterr().err


def test_missing_data_names_the_folder(capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main('vit_adapter', ['train', CONFIG, '--cfg-options', 'model.pretrained=None']) == 2
    error = capsys.readouterr().err
    assert 'data/ade/ADEChallengeData2016/images/training' in error
    assert 'ADE20KDataset' in error
    assert 'train_dataloader.dataset.data_root=' in error
    assert list(tmp_path.iterdir()) == []


def test_mixed_precision_needs_a_gpu(project: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    assert main('vit_adapter', ['train', str(project / 'tiny.py'), '--amp']) == 2
    assert '--amp was given' in capsys.readouterr().err


def test_torchrun_without_launcher_is_refused(project: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    assert main('vit_adapter', ['train', str(project / 'tiny.py')]) == 2
    assert '--launcher pytorch' in capsys.readouterr().err


def test_predict_writes_labels_and_overlays(project: Path, tmp_path: Path) -> None:
    """Files of several kinds, a folder, a pattern, the same name twice, and files that are no images."""
    pictures = tmp_path / 'pictures'
    (pictures / 'a').mkdir(parents=True)
    (pictures / 'b' / 'deep').mkdir(parents=True)
    cv2.imwrite(str(pictures / 'a' / 'grey.png'), picture(40, 61, 1))
    cv2.imwrite(str(pictures / 'a' / 'transparent.png'), picture(33, 48, 4))
    cv2.imwrite(str(pictures / 'a' / 'sixteen_bits.png'), picture(64, 31).astype(np.uint16) * 257)
    cv2.imwrite(str(pictures / 'a' / 'one_pixel.bmp'), picture(1, 1))
    cv2.imwrite(str(pictures / 'a' / 'same.jpg'), picture(20, 30, seed=1))
    cv2.imwrite(str(pictures / 'b' / 'same.png'), picture(30, 20, seed=2))
    cv2.imwrite(str(pictures / 'b' / 'deep' / 'wide.webp'), picture(16, 200))
    (pictures / 'a' / 'page.jpg').write_text('<!doctype html>')
    (pictures / 'a' / 'notes.txt').write_text('not searched for')
    (pictures / 'b' / 'empty.png').touch()

    result = run_command(
        'predict', project / 'tiny.py', 'pictures/a', 'pictures/b', 'pictures/**/*.*',
        '--checkpoint', project / 'tiny.pth', '--out', 'out', '--device', 'cpu', '--batch', 3, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert result.stdout == '7 of 9 images segmented: out/labels and out/overlays\n'
    assert '2 skipped or incomplete' in result.stderr
    assert 'page.jpg: it is no image' in result.stderr
    assert 'empty.png: the file is empty' in result.stderr
    assert 'Traceback' not in result.stderr

    labels = {
        path.relative_to(tmp_path / 'out' / 'labels').as_posix(): cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in (tmp_path / 'out' / 'labels').rglob('*.png')
    }
    assert {name: image.shape for name, image in labels.items()} == {
        'grey.png': (40, 61),
        'transparent.png': (33, 48),
        'sixteen_bits.png': (64, 31),
        'one_pixel.png': (1, 1),
        'same.jpg.png': (20, 30),
        'same.png.png': (30, 20),
        'deep/wide.png': (16, 200),
    }
    assert all(image.dtype == np.uint8 and image.max() < 5 for image in labels.values())
    overlays = tmp_path / 'out' / 'overlays'
    assert {path.relative_to(overlays).as_posix() for path in overlays.rglob('*.png')} == set(labels)


def test_published_weights_are_had_without_being_named(project: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from shared_ops.openmmlab import zoo

    asked = []
    monkeypatch.setattr(zoo, 'checkpoint_of', lambda *names: asked.append(names) or project / 'tiny.pth')
    cv2.imwrite(str(tmp_path / 'photo.png'), picture(50, 70))
    config, photo = str(project / 'tiny.py'), str(tmp_path / 'photo.png')
    assert main('vit_adapter', ['predict', config, photo, '--out', str(tmp_path / 'out'), '--device', 'cpu']) == 0
    models = [config, f'{config}={project / "tiny.pth"}']
    assert (
        main('vit_adapter', ['compare', photo, *models, '--out', str(tmp_path / 'sheet.png'), '--device', 'cpu']) == 0
    )
    assert asked == [('vit_adapter', config)] * 2
    assert cv2.imread(str(tmp_path / 'sheet.png')) is not None
    out = capsys.readouterr().out
    assert 'tiny (published): ' in out and 'tiny (tiny): ' in out and 'they disagree in 0.0% of the pixels' in out


def test_predict_is_what_mmsegmentation_predicts(project: Path, tmp_path: Path) -> None:
    from mmseg.apis import inference_model, init_model

    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), picture(50, 70))
    command = ['predict', str(project / 'tiny.py'), str(path), '--checkpoint', str(project / 'tiny.pth')]
    assert main('vit_adapter', [*command, '--out', str(tmp_path / 'o'), '--device', 'cpu']) == 0
    model = init_model(str(project / 'tiny.py'), str(project / 'tiny.pth'), device='cpu')
    expected = inference_model(model, str(path)).pred_sem_seg.data[0].numpy()
    assert (cv2.imread(str(tmp_path / 'o' / 'labels' / 'photo.png'), cv2.IMREAD_UNCHANGED) == expected).all()


def test_one_failing_image_does_not_cost_the_others(project: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    from shared_ops.openmmlab.inference.segmenter import Segmenter

    for name in ['a', 'b', 'c']:
        cv2.imwrite(str(tmp_path / f'{name}.png'), picture(20, 30 if name == 'b' else 31))
    real = Segmenter.__call__

    def fail_on_b(segmenter, pictures, logits=False):
        if any(picture.shape[1] == 30 for picture in pictures):
            raise torch.OutOfMemoryError('not enough memory\nand a long story')
        return real(segmenter, pictures, logits)

    monkeypatch.setattr(Segmenter, '__call__', fail_on_b)
    weights = ['--checkpoint', str(project / 'tiny.pth')]
    command = ['predict', str(project / 'tiny.py'), str(tmp_path), *weights, '--device', 'cpu', '--batch', '2']
    assert main('vit_adapter', [*command, '--out', str(tmp_path / 'out')]) == 1
    out, err = capsys.readouterr()
    assert '2 of 3 images segmented' in out
    assert 'b.png: OutOfMemoryError: not enough memory\n' in err
    assert '2 pictures at a time are too many for the memory: now 1' in err
    assert sorted(path.name for path in (tmp_path / 'out' / 'labels').iterdir()) == ['a.png', 'c.png']
    # run again, the folder of results inside the searched one is left out
    assert main('vit_adapter', [*command, '--out', str(tmp_path / 'out')]) == 1
    assert '2 of 3 images segmented' in capsys.readouterr().out


def test_predict_refuses_before_it_loads_the_model(project: Path, tmp_path: Path, capsys) -> None:
    cv2.imwrite(str(tmp_path / 'photo.png'), picture(5, 6))
    (tmp_path / 'file').touch()
    (tmp_path / 'nothing').mkdir()

    def refusal(images: str, *options: str) -> str:
        command = ['predict', str(project / 'tiny.py'), str(tmp_path / images), '--checkpoint', 'no_such_file.pth']
        assert main('vit_adapter', [*command, *options]) == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'nothing', 'photo.png']
        return capsys.readouterr().err

    out = ['--out', str(tmp_path / 'out')]
    assert 'there is no such file or folder' in refusal('no_photo.png', *out)
    assert 'the folder holds no file' in refusal('nothing', *out)
    assert 'the pattern matches no file' in refusal('*.jpg', *out)
    assert 'is a file; name a folder' in refusal('photo.png', '--out', str(tmp_path / 'file'))
    assert 'cannot be written: Not a directory' in refusal('photo.png', '--out', str(tmp_path / 'file' / 'below'))
    assert 'opacity is 1.5' in refusal('photo.png', *out, '--opacity', '1.5')
    assert "device 'gpu' cannot be used" in refusal('photo.png', *out, '--device', 'gpu')
    assert 'float16' in refusal('photo.png', *out, '--device', 'cpu', '--amp', 'fp16')
    assert 'batch is 0' in refusal('photo.png', *out, '--batch', '0')
    assert 'weights.pth is a checkpoint, not a picture; say --checkpoint' in refusal('weights.pth', *out)


def test_bad_weights_are_one_message(project: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    cv2.imwrite(str(tmp_path / 'photo.png'), picture(5, 6))
    content = (project / 'tiny.pth').read_bytes()
    (tmp_path / 'half.pth').write_bytes(content[: len(content) // 2])
    (tmp_path / 'page.pth').write_text('<!DOCTYPE html><html></html>')
    torch.save({'state_dict': {'backbone.cls_token': torch.zeros(1)}}, tmp_path / 'other.pth')
    for name, message in {
        'missing.pth': 'does not exist',
        'half.pth': 'truncated or damaged',
        'page.pth': 'web page',
        'other.pth': 'does not fit',
    }.items():
        command = [
            'predict',
            str(project / 'tiny.py'),
            str(tmp_path / 'photo.png'),
            '--checkpoint',
            str(tmp_path / name),
        ]
        assert main('vit_adapter', [*command, '--device', 'cpu', '--out', str(tmp_path / 'out')]) == 2
        error = capsys.readouterr().err
        assert error.startswith('python -m vit_adapter: error: checkpoint')
        assert message in error
    command = ['test', str(project / 'tiny.py'), str(tmp_path / 'other.pth'), '--work-dir', str(tmp_path / 'work')]
    monkeypatch.setenv('LOCAL_RANK', '0')  # the tools set it
    assert main('vit_adapter', command) == 2
    assert 'does not fit' in capsys.readouterr().err
    assert main('vit_adapter', ['train', *command[1:2], *command[3:], '--cfg-options', 'model.pretrained=no.pth']) == 2
    assert 'pretrained weights no.pth do not exist' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        ('patch_size=8', 'fit patch_size=16 and in_chans=3 only'),
        ('num_heads=5', 'num_heads=5 must divide the embedding'),
    ],
)
def test_a_backbone_that_cannot_be_built_is_one_line(
    setting: str, message: str, project: Path, tmp_path: Path, capsys
) -> None:
    cv2.imwrite(str(tmp_path / 'photo.png'), picture(5, 6))
    command = ['predict', str(project / 'tiny.py'), str(tmp_path / 'photo.png'), '--out', str(tmp_path / 'out')]
    options = ['--checkpoint', str(project / 'tiny.pth'), '--cfg-options', f'model.backbone.{setting}']
    assert main('vit_adapter', [*command, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('python -m vit_adapter: error: ') and message in line


def test_unexpected_errors_keep_their_trace(project: Path, tmp_path: Path) -> None:
    (tmp_path / 'broken.py').write_text(f"_base_ = '{(project / 'tiny.py').as_posix()}'\nmodel = dict(type='NoSuch')\n")
    with pytest.raises(KeyError, match='NoSuch'):
        cv2.imwrite(str(tmp_path / 'photo.png'), picture(5, 6))
        arguments = [str(tmp_path / 'broken.py'), str(tmp_path / 'photo.png')]
        main(
            'vit_adapter',
            ['predict', *arguments, '--checkpoint', str(project / 'tiny.pth'), '--out', str(tmp_path / 'out')],
        )


def test_resumed_training_is_training_without_a_break(tmp_path: Path) -> None:
    """No seed in the config; random crops too where MMEngine skips pictures without loading them."""
    config = write_config(
        tmp_path / 'tiny.py',
        tmp_path / 'data',
        drop=0.3,
        random_crop=hasattr(InfiniteSampler, 'skip'),
    )
    whole = run_command('train', config, '--work-dir', 'whole', cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    expected = losses(tmp_path / 'whole')
    assert sorted(expected) == [1, 2, 3, 4]
    # the seed that the first run drew, for the run that is broken off
    seed = torch.load(tmp_path / 'whole' / 'iter_4.pth', weights_only=False)['meta']['seed']
    options = ['--cfg-options', 'train_cfg.max_iters=2', f'randomness.seed={seed}']
    for more, reached in [(options, [1, 2]), (['--resume'], [1, 2, 3, 4])]:
        part = run_command('train', config, '--work-dir', 'broken', *more, cwd=tmp_path)
        assert part.returncode == 0, part.stderr
        assert sorted(losses(tmp_path / 'broken')) == reached
    assert losses(tmp_path / 'broken') == expected
