"""The page in a real browser, with a model of random weights behind it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytestmark = [pytest.mark.needs_serve, pytest.mark.needs_browser]
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A folder with a config, a checkpoint of random weights, two pictures, and what ``predict`` makes of them."""
    import vit_adapter  # noqa: F401

    import torch

    from shared_ops.openmmlab.cli import main
    from shared_ops.openmmlab.demo.scenes import draw_scene
    from support.tiny import build, write_config

    folder = tmp_path_factory.mktemp('project')
    config = write_config(folder / 'tiny.py', folder / 'data')
    torch.manual_seed(0)
    torch.save({'state_dict': build(config).state_dict()}, folder / 'tiny.pth')
    pictures = folder / 'pictures'
    pictures.mkdir()
    for name, (width, height), seed in [('first', (600, 400), 0), ('second', (520, 480), 2)]:
        scene, _ = draw_scene(np.random.RandomState(seed))
        cv2.imwrite(str(pictures / f'{name}.png'), cv2.resize(scene, (width, height)))
    arguments = [str(config), str(pictures), '--checkpoint', str(folder / 'tiny.pth'), '--out', str(folder / 'out')]
    assert main('vit_adapter', ['predict', *arguments, '--device', 'cpu']) == 0
    return folder


@pytest.fixture(scope='module')
def address(project: Path):
    """Start ``serve`` as a user does; at the end press Ctrl-C."""
    command = [sys.executable, '-m', 'vit_adapter', 'serve', 'tiny.py', '--checkpoint', 'tiny.pth']
    server = subprocess.Popen(
        [*command, '--port', '0', '--device', 'cpu'],
        cwd=project, env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = ''
    try:
        while not (found := re.search(r'http://127\.0\.0\.1:\d+', said)):
            line = server.stderr.readline()
            assert line, f'the server ended: {said}'
            said += line
        yield found[0]
        server.send_signal(signal.SIGINT)
        _, rest = server.communicate(timeout=20)
        assert server.returncode == 0, rest
        assert rest == 'Stopped.\n'
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, BROWSERS))),
            # Chromium's sandbox does not start for root
            args=['--no-sandbox'] if os.geteuid() == 0 else [],
        )
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, address: str):
    """An open page, what it asked for, and what it complained of: nothing, from elsewhere or about itself."""
    context = browser.new_context(viewport={'width': 1280, 'height': 900})
    asked, complaints = [], []
    context.on('request', lambda request: asked.append(request.url))
    context.on('weberror', lambda error: complaints.append(str(error.error)))
    page = open_page(context, address)
    yield SimpleNamespace(page=page, context=context, asked=asked)
    context.close()
    assert not complaints
    assert asked
    assert not [url for url in asked if not url.startswith((f'{address}/', f'blob:{address}/'))]


def open_page(context, address: str):
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.get_by_text('tiny of vit_adapter with tiny.pth, 5 classes, on cpu').wait_for()
    return page


def choose(page, path: Path) -> None:
    page.set_input_files('#file', path)


def wait_for(page, name: str) -> None:
    page.get_by_role('img', name=re.compile(f'^Classes of {name}: ')).wait_for()


def drop(page, name: str, content: bytes) -> None:
    """Let a file fall on the page, as the browser tells of it."""
    page.evaluate(
        """([name, bytes]) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([new Uint8Array(bytes)], name));
            const options = {dataTransfer: dropped, bubbles: true, cancelable: true};
            for (const kind of ['dragenter', 'dragover', 'drop'])
                document.getElementById('stage').dispatchEvent(new DragEvent(kind, options));
        }""",
        [name, list(content)],
    )


def labels_of(project: Path, name: str) -> np.ndarray:
    return cv2.imread(str(project / 'out' / 'labels' / f'{name}.png'), cv2.IMREAD_UNCHANGED)


def visible(page) -> np.ndarray:
    """Return what is to be seen of picture and colours, BGR, without the rounded corners."""
    # the browser paints at whole pixels, wherever the layout says that the picture begins
    box = {name: round(value) for name, value in page.locator('#view').bounding_box().items()}
    shot = cv2.imdecode(np.frombuffer(page.screenshot(clip=box), np.uint8), cv2.IMREAD_COLOR)
    return shot[8:-8, 8:-8].astype(int)


def legend(page) -> dict[str, str]:
    return dict(
        zip(page.locator('#legend .name').all_text_contents(), page.locator('#legend .share').all_text_contents())
    )


def expected_legend(labels: np.ndarray) -> dict[str, str]:
    from shared_ops.openmmlab.demo.scenes import CLASSES

    counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
    order = sorted(np.flatnonzero(counts), key=lambda index: -counts[index])
    shares = {CLASSES[index]: counts[index] / labels.size for index in order}
    return {name: f'{100 * share:.1f}%' if share >= 0.0005 else '<0.1%' for name, share in shares.items()}


def test_a_dropped_picture_is_shown_as_predict_draws_it(opened, project: Path) -> None:
    page, labels = opened.page, labels_of(project, 'first')
    drop(page, 'first.png', (project / 'pictures' / 'first.png').read_bytes())
    wait_for(page, 'first')
    overlay = cv2.imread(str(project / 'out' / 'overlays' / 'first.png'))[:400]
    assert overlay.shape[1] == 600
    assert np.abs(visible(page) - overlay[8:-8, 8:-8]).max() <= 2
    assert legend(page) == expected_legend(labels)
    assert '600 × 400 pixels' in page.locator('#status').text_content()

    # the slider goes to the picture alone and to the colours alone
    picture = cv2.imread(str(project / 'pictures' / 'first.png'))
    page.get_by_label('Opacity').fill('0')
    assert np.abs(visible(page) - picture[8:-8, 8:-8]).max() <= 1
    page.get_by_label('Opacity').fill('100')
    from shared_ops.openmmlab.demo.scenes import PALETTE

    colors = np.array(PALETTE)[..., ::-1][labels]
    assert np.abs(visible(page) - colors[8:-8, 8:-8]).max() <= 1

    # one class alone leaves the others as they are
    name, index = next(iter(legend(page))), np.bincount(labels.ravel()).argmax()
    page.get_by_role('button', name=name).click()
    alone = np.where((labels == index)[..., None], colors, picture)
    assert np.abs(visible(page) - alone[8:-8, 8:-8]).max() <= 1


def test_what_is_saved_is_what_predict_writes(opened, project: Path, tmp_path: Path) -> None:
    page = opened.page
    choose(page, project / 'pictures' / 'second.png')
    wait_for(page, 'second')
    for button, name, folder in [
        ('Save overlay', 'second_overlay.png', 'overlays'),
        ('Save label map', 'second_labels.png', 'labels'),
    ]:
        with page.expect_download() as saved:
            page.get_by_role('button', name=button).click()
        assert saved.value.suggested_filename == name
        saved.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (project / 'out' / folder / 'second.png').read_bytes()


def test_a_broken_file_is_explained_and_costs_nothing(opened, project: Path) -> None:
    page = opened.page
    choose(page, project / 'pictures' / 'first.png')
    wait_for(page, 'first')
    for name, content, message in [
        ('page.jpg', b'<!doctype html>', 'page.jpg: The file is no image, or a damaged one.'),
        ('empty.png', b'', 'empty.png: The file is empty.'),
    ]:
        drop(page, name, content)
        page.get_by_role('alert').filter(has_text=message).wait_for()
        # the picture before is still there
        assert legend(page) == expected_legend(labels_of(project, 'first'))
    opened.context.set_offline(True)
    drop(page, 'photo.png', b'x')
    page.get_by_role('alert').filter(has_text='The server does not answer.').wait_for()
    opened.context.set_offline(False)
    choose(page, project / 'pictures' / 'second.png')
    wait_for(page, 'second')
    assert page.get_by_role('alert').text_content() == ''


def test_two_tabs_get_their_own_results(opened, address: str, project: Path) -> None:
    tabs = {'first': opened.page, 'second': open_page(opened.context, address)}
    for _ in range(2):
        for name, page in tabs.items():
            choose(page, project / 'pictures' / f'{name}.png')
    for name, page in tabs.items():
        wait_for(page, name)
        assert legend(page) == expected_legend(labels_of(project, name))


def test_by_keyboard_alone(opened, project: Path) -> None:
    page = opened.page
    page.bring_to_front()
    page.keyboard.press('Tab')
    page.locator('#file:focus').wait_for(state='attached')
    with page.expect_file_chooser() as chooser:
        page.keyboard.press('Enter')
    chooser.value.set_files(project / 'pictures' / 'first.png')
    wait_for(page, 'first')
    page.keyboard.press('Tab')
    page.keyboard.press('ArrowRight')
    page.locator('#opacity-value').filter(has_text='51%').wait_for()
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    page.locator('#legend li:first-child [aria-pressed=true]').wait_for()
    # all that can be used has a name
    names = re.findall(r'- (?:button|slider|textbox|combobox)(.*)', page.locator('main').aria_snapshot())
    assert len(names) >= 4
    assert all(re.match(r' "[^"]+"', name) for name in names), names


def test_on_a_phone(browser, address: str, project: Path) -> None:
    """Picture over legend, nothing beside the screen, also for a picture that EXIF turns."""
    context = browser.new_context(viewport={'width': 360, 'height': 740}, has_touch=True, is_mobile=True)
    page = open_page(context, address)
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(project / 'pictures' / 'first.png') as picture:
        picture.save(project / 'turned.jpg', exif=exif)
    choose(page, project / 'turned.jpg')
    wait_for(page, 'turned')
    assert '400 × 600 pixels' in page.locator('#status').text_content()
    assert page.evaluate('document.documentElement.scrollWidth') <= 360
    view, panel = (page.locator(name).bounding_box() for name in ('#view', '#panel'))
    assert view['y'] + view['height'] <= panel['y']
    assert view['height'] / view['width'] == pytest.approx(1.5, abs=0.01)
    context.close()


def test_a_port_in_use_is_named(address: str, project: Path, capsys) -> None:
    from shared_ops.openmmlab.cli import main

    port = address.rsplit(':', 1)[1]
    assert main('vit_adapter', ['serve', str(project / 'tiny.py'), '--checkpoint', 'no.pth', '--port', port]) == 2
    assert f'port {port} of 127.0.0.1 is in use' in capsys.readouterr().err


def test_without_the_extra_the_install_line_is_told(monkeypatch, capsys) -> None:
    import importlib.util

    from shared_ops.openmmlab.cli import main

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *rest: None if name == 'uvicorn' else real(name, *rest)
    )
    assert main('vit_adapter', ['serve', 'anything']) == 2
    assert 'pip install "mmseg-vit-adapter[serve]"' in capsys.readouterr().err
