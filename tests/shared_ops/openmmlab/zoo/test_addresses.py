"""Which address is asked, and which are for people."""

import pytest

from shared_ops.openmmlab.zoo.addresses import at_mirror, check_needs_no_browser, file_name
from shared_ops.openmmlab.zoo.errors import DownloadError

GITHUB = 'https://github.com/owner/project/releases/download/v1/model.pth'
HUGGING_FACE = 'https://huggingface.co/owner/model/resolve/main/model.pth?download=true'


@pytest.mark.parametrize(
    ('mirror', 'expected'),
    [
        ('http://mirror.example/', 'http://mirror.example/owner/project/releases/download/v1/model.pth'),
        ('https://mirror.example/files', 'https://mirror.example/files/owner/project/releases/download/v1/model.pth'),
        ('https://proxy.example/{url}', f'https://proxy.example/{GITHUB}'),
        (
            'https://m.example/{host}/{path}',
            'https://m.example/github.com/owner/project/releases/download/v1/model.pth',
        ),
        ('https://m.example/{name}', 'https://m.example/my.pth'),
    ],
)
def test_mirror(mirror: str, expected: str) -> None:
    assert at_mirror(GITHUB, 'my.pth', mirror, {}) == expected
    assert at_mirror(GITHUB, 'my.pth', None, {'MMSEG_MIRROR': mirror}) == expected
    assert at_mirror(GITHUB, 'my.pth', mirror, {'MMSEG_MIRROR': 'https://other.example'}) == expected


def test_without_mirror() -> None:
    assert at_mirror(GITHUB, 'model.pth', None, {'MMSEG_MIRROR': ''}) == GITHUB


def test_mirror_of_hugging_face() -> None:
    endpoint = {'HF_ENDPOINT': 'https://hf.example'}
    expected = 'https://hf.example/owner/model/resolve/main/model.pth?download=true'
    assert at_mirror(HUGGING_FACE, 'model.pth', None, endpoint) == expected
    assert at_mirror(GITHUB, 'model.pth', None, endpoint) == GITHUB
    both = endpoint | {'MMSEG_MIRROR': 'https://m.example/{name}'}
    assert at_mirror(HUGGING_FACE, 'model.pth', None, both) == 'https://m.example/model.pth'


@pytest.mark.parametrize('mirror', [
    'mirror.example', '/data/mirror', 'https://m.example/{file}', 'https://', 'http://[::1', 'http://..m.example',
    'http://m.example:port', 'http://m example',
])  # fmt: skip
def test_mirror_that_is_none(mirror: str) -> None:
    with pytest.raises(ValueError, match=r'--mirror is .*it must begin with http'):
        at_mirror(GITHUB, 'model.pth', mirror, {})
    with pytest.raises(ValueError, match=r'MMSEG_MIRROR is '):
        at_mirror(GITHUB, 'model.pth', None, {'MMSEG_MIRROR': mirror})


def test_pages_are_for_people() -> None:
    with pytest.raises(
        DownloadError, match=r'Baidu .*open https://pan\S+, enter the code k6mf, .*save it as here\.pth'
    ):
        check_needs_no_browser('https://pan.baidu.com/s/1J?pwd=k6mf', 'here.pth')
    with pytest.raises(DownloadError, match=r'Google Drive .*open https://drive\S+, download the file'):
        check_needs_no_browser('https://drive.google.com/file/d/1/view?usp=sharing', 'here.pth')
    check_needs_no_browser(GITHUB, 'here.pth')


def test_file_name() -> None:
    assert file_name(HUGGING_FACE) == 'model.pth'
    assert file_name('https://a.example/my%20model.pth') == 'my model.pth'
    for address in ('https://a.example/', 'https://a.example', 'https://a.example/..%5Cevil.pth'):
        with pytest.raises(ValueError, match='does not end with the name of a file'):
            file_name(address)
