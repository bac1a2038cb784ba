"""The shape of the repository: what lies at its root, links, versions, licences, help texts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip('tomllib')

ROOT = Path(__file__).parents[2]
PACKAGES = ['internimage', 'vit_adapter', 'vit_comer']
PROJECTS = {'shared_ops': ROOT / 'shared_ops', **{name: ROOT / 'packages' / name for name in PACKAGES}}


def tracked_files() -> list[str]:
    result = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def version_of(name: str) -> str:
    text = (PROJECTS[name] / 'src' / name / '_version.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '(.+)'", text).group(1)


def test_top_level_holds_nothing_else() -> None:
    top = {name.split('/')[0] for name in tracked_files()}
    visible = {name for name in top if not name.startswith('.')}
    assert visible == {
        'packages', 'shared_ops', 'configs', 'noxfile.py', 'tests', 'README.md', 'LICENSE',
    }  # fmt: skip
    assert sorted(path.name for path in (ROOT / 'packages').iterdir()) == PACKAGES


def test_one_version_for_all() -> None:
    versions = {name: version_of(name) for name in PROJECTS}
    assert len(set(versions.values())) == 1, versions
    for name in PACKAGES:
        project = tomllib.loads((PROJECTS[name] / 'pyproject.toml').read_text(encoding='utf-8'))['project']
        assert any(
            re.fullmatch(rf'mmseg-shared-ops\[[a-z,]+\]=={re.escape(versions[name])}', requirement)
            for requirement in project['dependencies']
        ), f'{name} must ask for shared_ops {versions[name]} exactly: {project["dependencies"]}'


@pytest.mark.parametrize('name', PROJECTS)
def test_every_distribution_is_complete(name: str) -> None:
    folder = PROJECTS[name]
    for file in ['pyproject.toml', 'README.md', 'CHANGELOG.md', 'LICENSE', f'src/{name}/py.typed']:
        assert (folder / file).exists(), f'{folder}/{file} is missing'
    assert (folder / 'LICENSE').read_bytes() == (ROOT / 'LICENSE').read_bytes()
    assert version_of(name) in (folder / 'CHANGELOG.md').read_text(encoding='utf-8')
    project = tomllib.loads((folder / 'pyproject.toml').read_text(encoding='utf-8'))['project']
    assert project['name'] == 'mmseg-' + name.replace('_', '-')
    assert project['license'] == 'Apache-2.0'


@pytest.mark.parametrize('name', PACKAGES)
def test_configs_are_links_to_the_one_folder(name: str) -> None:
    assert (PROJECTS[name] / 'src' / name / 'configs').is_symlink()
    assert (PROJECTS[name] / 'src' / name / 'configs').resolve() == ROOT / 'configs' / name
    assert (ROOT / 'configs' / name / '_base_').resolve() == ROOT / 'configs' / '_base_'


def test_every_session_has_a_help_text() -> None:
    """One line each in ``nox -l``, and every session of .ci/run exists."""
    text = (ROOT / 'noxfile.py').read_text(encoding='utf-8')
    sessions = re.findall(r'^@nox\.session.*?^def (\w+)\(.*?\n    """(.+?)"""', text, flags=re.M | re.S)
    assert len(sessions) == len(re.findall(r'^@nox\.session', text, flags=re.M))
    assert all('\n' not in help_text for _, help_text in sessions)
    names = {name for name, _ in sessions}
    ci = (ROOT / '.ci' / 'run').read_text(encoding='utf-8')
    called = {name for line in re.findall(r'--session ([\w ]+)', ci) for name in line.split()}
    assert called <= names
    workflow = (ROOT / '.github' / 'workflows' / 'ci.yml').read_text(encoding='utf-8')
    assert called <= set(re.findall(r'\w+', workflow)), 'the workflow must run what .ci/run runs'


def test_no_file_is_large() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked_files() if (ROOT / name).is_file()}
    assert not {name: size for name, size in sizes.items() if size > 2_000_000}
