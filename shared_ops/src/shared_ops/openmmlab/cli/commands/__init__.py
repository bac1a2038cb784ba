"""The subcommands of ``python -m PACKAGE``, in the order of the help text.

Each module adds its parser with ``add(commands)``, where it sets ``run``: a function of the parsed options and the
package's configs, which returns the exit status. What takes time to import is imported there, when it runs.
"""

from . import compare, demo, download, listing, predict, serve, tools

COMMANDS = (listing, download, tools, predict, compare, serve, demo)
