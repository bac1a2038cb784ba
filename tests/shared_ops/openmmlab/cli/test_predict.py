"""What ``predict`` writes, what it leaves alone, and what stays after a break; with models of a single convolution."""

import json
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from shared_ops.openmmlab.cli.predict import predict
from shared_ops.openmmlab.inference.results import Wanted
from shared_ops.openmmlab.inference.segmenter import Segmenter
from shared_ops.openmmlab.inference.video import write_video
from support.tiny_segmentor import CLASSES, write_segmentor


@pytest.fixture(scope='module')
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    config, checkpoint = write_segmentor(tmp_path_factory.mktemp('model'))
    return Segmenter.load(config, checkpoint, device='cpu')


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index, name in enumerate(['a', 'b', 'c']):
        cv2.imwrite(str(folder / f'{name}.png'), noise(30, 40, index))
    return folder


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def write_clip(path: Path, *, frames: int = 5, codec: str = 'MJPG', rate: float = 12.5, size=(64, 48)) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, size)
    for index in range(frames):
        writer.write(cv2.blur(noise(size[1], size[0], index), (9, 9)))
    writer.release()


def frames_of(path: Path) -> tuple[float, list[np.ndarray]]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return capture.get(cv2.CAP_PROP_FPS), frames


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def test_scores_and_meaning_of_the_labels(segmenter: Segmenter, pictures: Path, tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / 'out', logits=True)
    assert predict(lambda: segmenter, [str(pictures)], wanted, batch=2) == 0
    for name in ['a', 'b', 'c']:
        scores = np.load(wanted.folder / 'logits' / f'{name}.npy', mmap_mode='r')
        labels = cv2.imread(str(wanted.folder / 'labels' / f'{name}.png'), cv2.IMREAD_UNCHANGED)
        assert scores.dtype == np.float16 and scores.shape == (len(CLASSES), *labels.shape)
        (expected,) = segmenter([cv2.imread(str(pictures / f'{name}.png'))], logits=True)
        np.testing.assert_allclose(scores, expected.logits, rtol=2**-10, atol=1e-5)
        assert (labels == expected.labels).all()
    meaning = json.loads((wanted.folder / 'classes.json').read_text())
    assert meaning == {'classes': list(CLASSES), 'palette': [[index, 0, 255 - index] for index in range(4)]}


def test_interrupted_work_is_kept_and_gone_on_with(
    segmenter: Segmenter, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def interrupt_at(number: int):
        def segment(images, logits=False):
            calls.append(len(images))
            if len(calls) == number:
                raise KeyboardInterrupt
            return segmenter(images, logits)

        segment.classes = segmenter.classes
        return segment

    wanted = Wanted(tmp_path / 'out')
    with pytest.raises(KeyboardInterrupt):
        predict(lambda: interrupt_at(3), [str(pictures)], wanted)
    assert '2 of 3 images segmented' in capsys.readouterr().out
    assert files_below(wanted.folder / 'overlays') == files_below(wanted.folder / 'labels') == ['a.png', 'b.png']

    before = (wanted.folder / 'labels' / 'a.png').stat().st_mtime_ns
    assert predict(lambda: interrupt_at(0), [str(pictures)], wanted, skip_existing=True) == 0
    assert '2 of 3 have their results already\n1 of 1 images segmented' in capsys.readouterr().out
    assert len(calls) == 4
    assert (wanted.folder / 'labels' / 'a.png').stat().st_mtime_ns == before
    assert files_below(wanted.folder / 'labels') == ['a.png', 'b.png', 'c.png']

    def load_nothing() -> Segmenter:
        raise AssertionError('there is nothing to do')

    assert predict(load_nothing, [str(pictures)], wanted, skip_existing=True) == 0
    # without that option, results are replaced
    assert predict(lambda: segmenter, [str(pictures)], wanted) == 0
    assert (wanted.folder / 'labels' / 'a.png').stat().st_mtime_ns > before


def test_an_input_is_never_replaced(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    (out / 'overlays').mkdir(parents=True)
    (out / 'overlays' / 'a.png').write_bytes((pictures / 'a.png').read_bytes())
    with pytest.raises(ValueError, match=r'a\.png is one of the inputs'):
        predict(lambda: pytest.fail('loaded'), [str(out / 'overlays' / 'a.png')], Wanted(out))
    # nor through a link
    (tmp_path / 'link.png').symlink_to(out / 'overlays' / 'link.png')
    (out / 'overlays' / 'link.png').write_bytes((pictures / 'a.png').read_bytes())
    with pytest.raises(ValueError, match=r'link\.png is one of the inputs'):
        predict(lambda: pytest.fail('loaded'), [str(tmp_path / 'link.png')], Wanted(out))


def test_annotations_of_a_data_set_are_never_replaced(pictures: Path, segmenter: Segmenter) -> None:
    annotation = pictures.parent / 'labels' / 'a.png'
    annotation.parent.mkdir()
    cv2.imwrite(str(annotation), noise(30, 40, 9))
    before = annotation.read_bytes()
    with pytest.raises(ValueError, match='has a folder labels that is none of predict'):
        predict(lambda: segmenter, [str(pictures)], Wanted(pictures.parent))
    assert annotation.read_bytes() == before


@pytest.mark.parametrize('name', ['clip/000000.png', 'clip.legend.png'])
def test_a_video_and_a_picture_never_share_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / 'in' / 'clip').mkdir(parents=True)
    write_clip(tmp_path / 'in' / 'clip.avi', frames=1)
    cv2.imwrite(str(tmp_path / 'in' / name), noise(30, 40, 0))
    with pytest.raises(ValueError, match=r'would be made of .* as well as of '):
        predict(
            lambda: pytest.fail('loaded'),
            [str(tmp_path / 'in'), str(tmp_path / 'in' / '*.avi')],
            Wanted(tmp_path / 'out', frame_labels=True),
        )


@pytest.mark.parametrize('error', [torch.OutOfMemoryError('CUDA out of memory'), RuntimeError("can't allocate memory")])
def test_too_large_a_batch_becomes_smaller(
    error: Exception, segmenter: Segmenter, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ['d', 'e', 'f']:
        cv2.imwrite(str(pictures / f'{name}.png'), noise(30, 40, 9))
    sizes = []

    def segment(images, logits=False):
        sizes.append(len(images))
        if len(images) > 2:
            raise error
        return segmenter(images, logits)

    segment.classes = segmenter.classes
    assert predict(lambda: segment, [str(pictures)], Wanted(tmp_path / 'out'), batch=4) == 0
    assert sizes == [4, 2, 2, 2]
    out, err = capsys.readouterr()
    assert '6 of 6 images segmented' in out
    assert '4 pictures at a time are too many for the memory: now 2' in err


@pytest.mark.parametrize(('name', 'codec'), [('clip.avi', 'MJPG'), ('clip.mp4', 'mp4v')])
def test_a_video(
    name: str, codec: str, segmenter: Segmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / name, codec=codec)
    wanted = Wanted(tmp_path / 'out', frame_labels=True)
    assert predict(lambda: segmenter, [str(tmp_path / name)], wanted, batch=2) == 0
    assert f'5 frames segmented: {wanted.folder / "overlays" / name}' in capsys.readouterr().out
    assert files_below(wanted.folder) == [
        'classes.json',
        *(f'labels/clip/{index:06d}.png' for index in range(5)),
        *sorted(['overlays/clip.legend.png', f'overlays/{name}']),
    ]
    rate, overlays = frames_of(wanted.folder / 'overlays' / name)
    _, frames = frames_of(tmp_path / name)
    assert rate == 12.5 and len(overlays) == 5
    for index, (overlay, frame) in enumerate(zip(overlays, frames)):
        labels = cv2.imread(str(wanted.folder / f'labels/clip/{index:06d}.png'), cv2.IMREAD_UNCHANGED)
        assert (labels == segmenter([frame])[0].labels).all()
        expected = 0.5 * frame + 0.5 * segmenter.classes.palette[labels][..., ::-1]
        assert overlay.shape == frame.shape
        assert np.abs(overlay - expected).mean() < 8  # of 255, after lossy compression


def test_a_video_with_odd_sides_and_one_of_another_kind(segmenter: Segmenter, tmp_path: Path, monkeypatch) -> None:
    from shared_ops.openmmlab.inference import video

    write_clip(tmp_path / 'a.webm', codec='VP80')
    monkeypatch.setattr(video.VideoReader, '__iter__', lambda _: iter([noise(47, 63, index) for index in range(3)]))
    wanted = Wanted(tmp_path / 'out')
    predict(lambda: segmenter, [str(tmp_path / 'a.webm')], wanted)
    _, frames = frames_of(wanted.folder / 'overlays' / 'a.mp4')
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3


def test_broken_videos(segmenter: Segmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'page.mp4').write_text('<!doctype html>')
    write_clip(tmp_path / 'none.avi', frames=0)
    write_clip(tmp_path / 'whole.avi', frames=20)
    content = (tmp_path / 'whole.avi').read_bytes()
    (tmp_path / 'cut.avi').write_bytes(content[: len(content) // 2])
    wanted = Wanted(tmp_path / 'out')
    assert predict(lambda: segmenter, [str(tmp_path / '*.*')], wanted) == 1
    out, err = capsys.readouterr()
    assert '4 skipped or incomplete' in err
    assert 'empty.mp4: the file is empty' in err
    assert 'page.mp4: it is no video, is damaged, or is in a codec that OpenCV does not know' in err
    assert 'none.avi: it ' in err
    assert '20 frames segmented' in out
    # what could be read of it is there
    _, frames = frames_of(wanted.folder / 'overlays' / 'cut.avi')
    assert 5 < len(frames) < 20
    assert f'cut.avi: only {len(frames)} of its 20 frames can be read' in err


def test_an_interrupted_video_stays_as_far_as_it_went(
    segmenter: Segmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / 'clip.avi', frames=6)
    calls = []

    def segment(images, logits=False):
        calls.append(len(images))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return segmenter(images, logits)

    segment.classes = segmenter.classes
    with pytest.raises(KeyboardInterrupt):
        predict(lambda: segment, [str(tmp_path / 'clip.avi')], Wanted(tmp_path / 'out'))
    partial = tmp_path / 'out' / 'overlays' / 'clip.partial.avi'
    assert len(frames_of(partial)[1]) == 3
    assert f'interrupted; the frames before that are in {partial}' in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'overlays' / 'clip.avi').exists()
    # the whole of it replaces the part
    assert predict(lambda: segmenter, [str(tmp_path / 'clip.avi')], Wanted(tmp_path / 'out'), skip_existing=True) == 0
    assert not partial.exists()


@pytest.mark.parametrize('suffix', ['.mp4', '.avi', '.mkv'])
def test_a_video_that_the_disk_has_no_room_for(suffix: str, tmp_path: Path, monkeypatch) -> None:
    """OpenCV writes half of it and does not complain; the older one stays."""
    path = tmp_path / f'clip{suffix}'
    assert write_video(path, iter([noise(120, 160, index) for index in range(9)]), 12.5) == 9
    older = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(older) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match='does not hold all of its 9 frames'):
            write_video(path, iter([noise(120, 160, index) for index in range(9)]), 12.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == older


def test_scores_of_a_video_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / 'clip.avi', frames=1)
    with pytest.raises(ValueError, match='is a video, whose scores would take'):
        predict(lambda: pytest.fail('loaded'), [str(tmp_path / 'clip.avi')], Wanted(tmp_path / 'out', logits=True))
    assert not (tmp_path / 'out').exists()
