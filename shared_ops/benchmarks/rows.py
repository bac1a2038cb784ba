"""What all tables of the benchmarks share. Needs the standard library alone."""

from results import Results

OPERATORS = {'ms_deform_attn': 'attention', 'dcnv3': 'DCNv3'}


def rows(head: list[str], body: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f'| {" | ".join(line)} |' for line in [head, *body]]
    return '\n'.join([lines[0], f'|{"---|" * len(head)}', *lines[1:]])


def _counted(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def machine_line(results: Results) -> str:
    """Say on what was measured."""
    machine = results['machine']
    if machine['device'] == 'cuda':
        where = f'{machine["gpu"]}, driver {machine["driver"]}, CUDA {machine["cuda"]}'
    else:
        threads, cores = _counted(machine['threads'], 'thread'), _counted(machine['cores'], 'core')
        where = f'{machine["cpu"]} ({machine["cpu_capability"]}), {threads} on {cores}'
    return f'{where}; PyTorch {machine["torch"]}; revision {machine["revision"]}, {machine["date"][:10]}.'
