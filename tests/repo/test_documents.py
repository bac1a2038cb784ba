"""Links of all Markdown files lead somewhere, and the Chinese README says what the English one says."""

import os
import re
from pathlib import Path

import pytest
from repo.documents import (
    CHINESE,
    PAGES,
    PAGES_ON_GPUS,
    READMES,
    ROOT,
    anchors_of,
    blocks_of,
    generated_tables,
    headings_of,
    links_from_pages,
    links_of,
    tracked_documents,
)
from repo.quotes import quotes_of

ENGLISH = ROOT / 'README.md'


def dead_links(document: Path, text: str) -> list[str]:
    """Return the relative links that name no file, or no heading of the file that they name."""
    dead = []
    for link in links_of(text):
        if re.match(r'[a-z]+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = Path(os.path.normpath(document.parent / path)) if path else document
        if target.is_dir():
            target = target / 'README.md' if anchor else target
        content = text if target == document else None
        if (
            not target.exists()
            or ROOT not in (target, *target.parents)
            or (anchor and anchor not in anchors_of(content or target.read_text(encoding='utf-8')))
        ):
            dead.append(link)
    return dead


@pytest.mark.parametrize('document', tracked_documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    assert not dead_links(document, document.read_text(encoding='utf-8'))


@pytest.mark.parametrize(
    ('text', 'dead'),
    [
        ('[here](#two-words)\n\n## Two `words`!\n', []),
        ('[here](#two)\n\n## Two words\n', ['#two']),
        ('[file](noxfile.py) and [none](nothing.py)', ['nothing.py']),
        ('[again](#twice-1)\n\n## Twice\n\n## Twice\n', []),
        ('![none](.github/nothing.png)', ['.github/nothing.png']),
        ('[out](../outside)', ['../outside']),
        ('`[code](nothing.py)`\n\n```bash\n# [code](nothing.py)\n```\n', []),
        ('[web](https://example.org/#nothing)', []),
    ],
)
def test_dead_links_are_found(text: str, dead: list[str]) -> None:
    assert dead_links(ENGLISH, text) == dead


def test_chinese_readme_has_the_blocks_tables_and_sections_of_the_english_one() -> None:
    english, chinese = (path.read_text(encoding='utf-8') for path in (ENGLISH, CHINESE))
    for ours, theirs in zip(blocks_of(english), blocks_of(chinese), strict=True):
        assert (ours.language, without_comments(ours.text)) == (theirs.language, without_comments(theirs.text))
    assert [level for level, _ in headings_of(english)] == [level for level, _ in headings_of(chinese)]
    # tables are the same but for links, which start from another folder
    for ours, theirs in zip(generated_tables(english), generated_tables(chinese), strict=True):
        assert links_from_pages(ours) == theirs


def without_comments(script: str) -> list[str]:
    """Return the lines of a script without comments, which are translated."""
    return [re.sub(r'\s*(?<!\S)#.*', '', line) for line in script.splitlines()]


def test_the_two_readmes_link_to_each_other() -> None:
    assert '.github/docs/README_zh-CN.md' in ENGLISH.read_text(encoding='utf-8').split('\n## ')[0]
    assert '../../README.md' in CHINESE.read_text(encoding='utf-8').split('\n## ')[0]


def test_blocks_are_found_with_their_languages_and_lines() -> None:
    text = '# Title\n\n```bash\nls\n```\n\n```text\n$ x\n```\n- item\n  ```python\n  pass\n  ```\n'
    found = [(block.language, block.line) for block in blocks_of(text)]
    assert found == [('bash', 4), ('text', 8), ('python', 12)]


def test_every_quotation_has_its_block() -> None:
    text = '<!-- provoked: one -->\n```text\nmessage\nof two lines\n```\n'
    assert quotes_of(text) == {'one': 'message\nof two lines'}
    with pytest.raises(AssertionError, match='not followed'):
        quotes_of(text.replace('```text', '```bash'))


def test_every_quotation_has_a_provocation_and_the_reverse() -> None:
    quoted = [name for page in PAGES.glob('*.md') for name in quotes_of(page.read_text(encoding='utf-8'))]
    source = (Path(__file__).parent / 'provocations.py').read_text(encoding='utf-8')
    assert sorted(quoted) == sorted(re.findall(r'^def (\w+)\(\) -> str:', source, flags=re.M))


def test_pages_that_speak_of_gpus_say_what_a_gpu_has_run() -> None:
    speaking = {
        page
        for page in [*READMES, *PAGES.glob('*.md')]
        if re.search(
            r'\b(CUDA|GPUs?)\b', re.sub(r'<!-- gpu.*?: end -->', '', page.read_text(encoding='utf-8'), flags=re.S)
        )
    }
    # the Chinese page has the README's, and that of the operators has the table
    assert speaking == {*PAGES_ON_GPUS, CHINESE, ROOT / 'shared_ops' / 'README.md'}
