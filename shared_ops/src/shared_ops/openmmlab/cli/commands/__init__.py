"""The subcommands of ``python -m PACKAGE``, in the order of the help text.

Each module adds its parser with ``add(commands)``, where it sets ``run``: a function of the parsed options and the
package's configs, which returns the exit status. What takes time to import is imported there, when it runs.
"""

from . import check, compare, demo, download, listing, new, plot, predict, serve, tools

COMMANDS = (listing, download, new, check, tools, plot, predict, compare, serve, demo)
