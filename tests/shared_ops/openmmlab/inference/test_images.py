"""Pictures found by file, folder and pattern, and the names of their results."""

from pathlib import Path

import pytest

from shared_ops.openmmlab.inference.images import FoundImage, find_images, output_names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    names = [
        'a/one.jpg', 'a/two.PNG', 'a/notes.txt', 'a/.hidden.png', 'b/one.jpg', 'b/deep/three.tif', 'b/[1].png',
        'out/labels/one.png',
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(*arguments: str) -> dict[str, str]:
    """Return the result's name of every picture, by path below the working folder."""
    images = find_images(arguments, except_below=Path('out'))
    paths = [image.path.relative_to(Path.cwd()).as_posix() for image in images]
    return dict(zip(paths, output_names(images)))


def test_a_folder_is_searched_at_any_depth(folder: Path) -> None:
    assert find('b') == {'b/[1].png': '[1]', 'b/one.jpg': 'one', 'b/deep/three.tif': 'deep/three'}


def test_videos_are_taken_where_they_are_named(folder: Path) -> None:
    (folder / 'b' / 'clip.mp4').touch()
    assert 'b/clip.mp4' not in find('b')
    assert list(find('b/clip.mp4')) == list(find('b/*.mp4')) == ['b/clip.mp4']


@pytest.mark.parametrize('name', ['weights.pth', 'old/weights.pth.tar'])
def test_a_checkpoint_is_no_picture(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f'{name} is a checkpoint, not a picture; say --checkpoint {name}'):
        find('b', name)


def test_results_in_a_searched_folder_are_left_out(folder: Path) -> None:
    assert 'out/labels/one.png' not in find('.')
    assert 'out/labels/one.png' not in find('**/*.png')
    assert list(find('out/labels/one.png')) == ['out/labels/one.png']


def test_results_are_known_through_a_link(folder: Path) -> None:
    (folder / 'link').symlink_to(folder / 'out')
    for argument in ('.', '**/*.png'):
        images = find_images([argument], except_below=Path('link'))
        assert not [image.path for image in images if image.path.match('out/labels/*')]


@pytest.mark.parametrize('argument', ['out', 'out/*.png'])
def test_pictures_where_the_results_go_are_not_said_to_be_missing(folder: Path, argument: str) -> None:
    (folder / 'out' / 'photo.png').touch()
    with pytest.raises(ValueError, match='is left out; name another --out'):
        find(argument)


@pytest.mark.parametrize(
    ('pattern', 'found'),
    [
        ('a/*', ['a/one.jpg', 'a/two.PNG']),
        ('*/*.jpg', ['a/one.jpg', 'b/one.jpg']),
        ('**/three.*', ['b/deep/three.tif']),
        ('b/**', ['b/[1].png', 'b/deep/three.tif', 'b/one.jpg']),
        ('[b]', ['b/[1].png', 'b/one.jpg', 'b/deep/three.tif']),
    ],
)
def test_patterns(folder: Path, pattern: str, found: list[str]) -> None:
    assert list(find(pattern)) == found


def test_a_file_with_a_name_like_a_pattern(folder: Path) -> None:
    assert find('b/[1].png') == {'b/[1].png': '[1]'}


def test_a_named_file_needs_no_suffix(folder: Path) -> None:
    assert find('a/notes.txt') == {'a/notes.txt': 'notes'}


def test_each_picture_counts_once(folder: Path) -> None:
    assert find('a/one.jpg', 'a', 'a/*.jpg') == {'a/one.jpg': 'one', 'a/two.PNG': 'two'}


def test_links_are_followed_but_not_in_circles(folder: Path) -> None:
    (folder / 'b' / 'circle').symlink_to(folder / 'b')
    (folder / 'b' / 'other').symlink_to(folder / 'a')
    assert sorted(find('b')) == [
        'b/[1].png', 'b/deep/three.tif', 'b/one.jpg', 'b/other/one.jpg', 'b/other/two.PNG',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('argument', 'reason'),
    [
        ('c', 'there is no such file or folder'),
        ('a/*.gif', 'the pattern matches no file'),
        ('empty', 'the folder holds no file'),
    ],
)
def test_nothing_found(folder: Path, argument: str, reason: str) -> None:
    (folder / 'empty').mkdir()
    with pytest.raises(ValueError, match=reason):
        find('a', argument)


def test_same_names_get_what_tells_them_apart(folder: Path) -> None:
    assert find('a', 'b/one.jpg') == {'a/one.jpg': 'a/one', 'a/two.PNG': 'two', 'b/one.jpg': 'b/one'}


def test_output_names_are_unique() -> None:
    paths = ['x/p.jpg', 'x/p.png', 'x/P.bmp', 'y/p.jpg', 'y/p.jpg.png', 'z/q.png', 'x/x/p.jpg']
    images = [FoundImage(Path('/data', path), Path(Path(path).name)) for path in paths]
    names = output_names(images)
    assert len({name.casefold() for name in names}) == len(names)
    assert names[5] == 'q'
    assert output_names(images[:1]) == ['p']
