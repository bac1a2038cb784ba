"""Who may import whom, read from the imports themselves."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED_OPS = ROOT / 'shared_ops' / 'src' / 'shared_ops'
PACKAGES = {path.name: path / 'src' / path.name for path in sorted((ROOT / 'packages').iterdir())}

# layer: what it may import besides the standard library and itself
OPERATORS = {'torch'}
VIT = {'torch', 'timm.layers', 'shared_ops'}
OPENMMLAB = {
    'torch', 'mmengine', 'mmcv', 'mmseg', 'timm', 'numpy', 'scipy', 'cv2', 'PIL', 'matplotlib', 'rich', 'filelock',
    'shared_ops',
}  # fmt: skip
MASK2FORMER = OPENMMLAB | {'mmdet'}
SERVE = OPENMMLAB | {'starlette', 'uvicorn'}
MODELS = {'torch', 'timm', 'mmengine', 'mmseg.registry', 'mmseg.datasets', 'mmcv.transforms', 'shared_ops'}


def layer_of(path: Path) -> set[str]:
    """Return what a file of ``shared_ops`` may import."""
    parts = path.relative_to(SHARED_OPS).parts
    if parts[:2] == ('openmmlab', 'mask2former'):
        return MASK2FORMER
    if parts[:2] == ('openmmlab', 'serve'):
        return SERVE
    return {'vit': VIT, 'openmmlab': OPENMMLAB}.get(parts[0], OPERATORS)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of every absolute import in ``path``, functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.lineno, f'{node.module}.{alias.name}') for alias in node.names)


def violations(path: Path, allowed: set[str]) -> list[str]:
    found = []
    for line, name in imports_of(path):
        top = name.split('.')[0]
        if top in sys.stdlib_module_names:
            continue
        if not any(name == prefix or name.startswith(prefix + '.') for prefix in allowed):
            found.append(f'{path.relative_to(ROOT)}:{line} imports {name}; allowed here: {sorted(allowed)}')
    return found


def test_shared_ops_imports_only_what_lies_below() -> None:
    files = list(SHARED_OPS.rglob('*.py'))
    assert files
    assert not [found for path in files for found in violations(path, layer_of(path))]


def test_operators_do_not_import_their_users() -> None:
    """``shared_ops`` itself has to work with torch alone, so it must not reach up into vit or openmmlab."""
    for path in SHARED_OPS.glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert (node.module or '').split('.')[0] not in {'vit', 'openmmlab'}, path
                assert not {alias.name for alias in node.names} & {'vit', 'openmmlab'}, path


@pytest.mark.parametrize('package', PACKAGES)
def test_packages_import_no_other_package(package: str) -> None:
    source = PACKAGES[package]
    files = [path for path in source.rglob('*.py') if 'configs' not in path.relative_to(source).parts]
    assert files
    assert not [found for path in files for found in violations(path, MODELS | {package})]


def test_a_violation_is_seen(tmp_path: Path) -> None:
    path = ROOT / 'tests' / 'repo' / 'test_layering.py'
    assert violations(path, set()), 'this file imports pytest, so a check that allows nothing must complain'
