"""What the server answers, with a stand-in for the model: a class for every third of the brightness."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.needs_serve


class Brightness:
    """Stands for a Segmenter."""

    def __init__(self) -> None:
        from shared_ops.openmmlab.inference.classes import Classes

        self.classes = Classes(
            ['dark', 'grey', 'light'], np.array([[9, 9, 99], [80, 160, 80], [255, 240, 0]], np.uint8)
        )
        self.device = torch.device('cpu')

    def __call__(self, pictures):
        picture = pictures[0]
        if picture.shape[0] == 13:
            raise torch.OutOfMemoryError('13 rows are too many')
        if picture.shape[0] == 17:
            raise KeyError('unexpected')
        return [SimpleNamespace(labels=(picture.mean(axis=-1) // 86).astype(np.uint8))]


@pytest.fixture(scope='module')
def address():
    """Serve in threads of this process, as ``serve`` does, until the tests are over."""
    import uvicorn

    from shared_ops.openmmlab.serve.app import About, build_app
    from shared_ops.openmmlab.serve.server import open_socket
    from shared_ops.openmmlab.serve.turns import Turns

    turns = Turns(4)
    about = About('vit_adapter', 'brightness', 'none.pth', 'cpu', 3, longest_side=100, most_bytes=2**20)
    app = build_app(Brightness(), about, turns, ('localhost', '127.0.0.1'))
    server = uvicorn.Server(uvicorn.Config(app, log_level='critical'))
    opened = open_socket('127.0.0.1', 0)
    opened.listen()
    answering = threading.Thread(target=server.run, kwargs={'sockets': [opened]})
    working = threading.Thread(target=turns.work, args=(answering.is_alive,))
    answering.start()
    working.start()
    yield f'http://127.0.0.1:{opened.getsockname()[1]}'
    server.should_exit = True
    answering.join()
    working.join()


def ask(address: str, body: bytes | None = None, **headers: str):
    """Return status, headers and content of an answer."""
    request = urllib.request.Request(address, body, {name.replace('_', '-'): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    return cv2.resize(np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8), (width, height))


def png(image: np.ndarray) -> bytes:
    return cv2.imencode('.png', image)[1].tobytes()


def image_at(address: str) -> np.ndarray:
    status, _, content = ask(address)
    assert status == 200
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_picture_and_its_classes(address: str) -> None:
    from shared_ops.openmmlab.inference.overlay import draw_overlay

    status, _, content = ask(f'{address}/segment', png(picture()))
    assert status == 200
    answer = json.loads(content)
    model = Brightness()
    expected = model([picture()])[0].labels
    assert (answer['width'], answer['height'], answer['bytes_per_label']) == (60, 40, 1)
    assert {area['index']: area['share'] for area in answer['areas']} == {
        index: np.mean(expected == index) for index in np.unique(expected)
    }
    assert [area['share'] for area in answer['areas']] == sorted((a['share'] for a in answer['areas']), reverse=True)
    assert {'index': 2, 'name': 'light', 'color': '#fff000'}.items() <= {a['index']: a for a in answer['areas']}[
        2
    ].items()

    results = f'{address}/results/{answer["name"]}'
    assert (image_at(f'{results}/labels.png') == expected).all()
    assert ask(f'{results}/labels.bin')[2] == expected.tobytes()
    assert (image_at(f'{results}/picture.png') == picture()).all()
    overlay = draw_overlay(picture()[..., ::-1], expected, model.classes, 0.3)
    assert (image_at(f'{results}/overlay.png?opacity=0.3') == overlay[..., ::-1]).all()
    assert ask(f'{results}/overlay.png?opacity=2')[0] == 422


def test_what_cannot_be_done_is_said(address: str, capfd) -> None:
    def refusal(body: bytes, path: str = '/segment') -> tuple[int, str]:
        status, _, content = ask(address + path, body or None)
        return status, json.loads(content)['error']

    assert refusal(b'no picture') == (422, 'The file is no image, or a damaged one.')
    assert refusal(b'0' * (2**20 + 1)) == (413, 'The file is larger than 1 MB.')
    assert refusal(png(picture(height=13)))[0] == 507
    assert refusal(png(picture(height=17))) == (500, "The model failed on this picture: KeyError: 'unexpected'")
    assert "KeyError: 'unexpected'" in capfd.readouterr().err
    assert refusal(b'', '/results/unknown/labels.png')[0] == 404
    # and it goes on
    assert ask(f'{address}/segment', png(picture()))[0] == 200


def test_large_pictures_are_made_smaller(address: str) -> None:
    answer = json.loads(ask(f'{address}/segment', png(picture(200, 400)))[2])
    assert (answer['width'], answer['height']) == (100, 50)
    assert (answer['full_width'], answer['full_height']) == (400, 200)


def test_old_results_make_room(address: str) -> None:
    names = [json.loads(ask(f'{address}/segment', png(picture(9, 9)))[2])['name'] for _ in range(17)]
    assert len(set(names)) == 17
    status, _, content = ask(f'{address}/results/{names[0]}/labels.png')
    assert (status, json.loads(content)['error'][:37]) == (404, 'This result is no longer kept. Drop t')
    assert ask(f'{address}/results/{names[1]}/labels.png')[0] == 200


def test_other_pages_are_refused(address: str) -> None:
    """Neither a page from elsewhere nor a foreign name for this machine reaches the model."""
    assert ask(f'{address}/segment', png(picture()), Origin='https://example.org')[0] == 403
    assert ask(f'{address}/about', Host='example.org')[0] == 403
    assert ask(f'{address}/segment', png(picture()), Origin=address)[0] == 200


def test_large_pictures_are_unpacked_in_turn(address: str, monkeypatch) -> None:
    """Otherwise a few files of some kilobytes fill the memory."""
    from shared_ops.openmmlab.serve import app

    now, most, unpack = [], [], app.read_picture

    def slowly(content):
        now.append(content)
        most.append(len(now))
        time.sleep(0.1)
        now.pop()
        return unpack(content)

    monkeypatch.setattr(app, 'read_picture', slowly)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(f'{address}/segment', png(picture()))[0], range(4)))
    assert answers == [200] * 4 and max(most) == 2


def test_names_of_a_server() -> None:
    from shared_ops.openmmlab.serve.server import names_of

    assert '127.0.1.1' in names_of('127.0.1.1') and 'localhost' in names_of('::1')
    assert names_of('0.0.0.0') is names_of('192.0.2.1') is None


def test_the_page_may_fetch_from_its_server_alone(address: str) -> None:
    for path in ['/', '/page.css', '/page.js', '/drawing.js', '/icon.svg']:
        status, headers, content = ask(address + path)
        assert status == 200
        assert headers['Content-Security-Policy'].startswith("default-src 'self'; img-src 'self' blob:;")
        assert b'https://' not in content


def test_ports_and_hosts_that_cannot_be_had(address: str) -> None:
    from shared_ops.openmmlab.serve.server import open_socket

    port = int(address.rsplit(':', 1)[1])
    for host, number, error, message in [
        ('127.0.0.1', port, OSError, f'port {port} of 127.0.0.1 is in use'),
        ('127.0.0.1', 65536, ValueError, '--port is 65536'),
        ('no such host', 0, ValueError, "--host 'no such host' is no address"),
        ('192.0.2.1', 0, OSError, 'not an address of this machine'),
    ]:
        with pytest.raises(error, match=message), contextlib.closing(open_socket(host, number)):
            pass
