"""Which of OpenMMLab's two lines is installed: its own releases, or the maintained one with the same import names."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from ..errors import InstallationError

# import name: (distribution of the maintained line, distributions of OpenMMLab's own releases)
LINES = {
    'mmengine': ('onedl-mmengine', ('mmengine', 'mmengine-lite')),
    'mmcv': ('onedl-mmcv', ('mmcv', 'mmcv-lite', 'mmcv-full')),
    'mmseg': ('onedl-mmsegmentation', ('mmsegmentation',)),
    'mmdet': ('onedl-mmdetection', ('mmdet',)),
}
NEEDED = ('mmengine', 'mmcv', 'mmseg')
INSTALL = 'pip install ' + ' '.join(LINES[name][0] for name in NEEDED)


def check_installation() -> None:
    """Refuse an environment in which the packages cannot work.

    Raises:
        ImportError: a package is missing, or both lines lie in the same folder, where the files of the one that was
            installed last have replaced some of the other's.
    """
    doubled = []
    for name, (maintained, originals) in LINES.items():
        found = _installed((maintained, *originals))
        if not found and name in NEEDED:
            raise InstallationError(f'{name} is not installed; install the maintained line with: {INSTALL}')
        if len(found) > 1:
            doubled.append(found)
    if doubled:
        names = [name for found in doubled for name in found]
        listing = '; '.join(' over '.join(f'{n} {v}' for n, v in found.items()) for found in doubled)
        wanted = ' '.join(found_name for found_name in names if found_name.startswith('onedl-')) or names[0]
        raise InstallationError(
            f'two lines of OpenMMLab are installed over each other: {listing}. They share their folders, so files of '
            f'both are mixed. Keep one: pip uninstall -y {" ".join(names)}, then pip install {wanted}'
        )


def _installed(distributions: Iterable[str]) -> dict[str, str]:
    """Return name and version of those distributions that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
