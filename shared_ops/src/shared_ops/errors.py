"""What is refused on purpose, told from faults of the program by its class.

Each class is also the built-in one that callers expect. Whatever is raised as one of them carries a message that is
enough to go on with: the command line prints it without a trace. Any other exception is unexpected.
"""


class UserError(Exception):
    """Something that the user can mend; the message says what came, what was wanted and what to do."""


class InputError(UserError, ValueError):
    """An argument, an option, a setting or the content of a file cannot be used."""


class StateError(UserError, RuntimeError):
    """What was asked for cannot be done as things stand."""


class InstallationError(UserError, ImportError):
    """A package is missing, or does not go with the others."""


class FileError(UserError, OSError):
    """A file or folder cannot be read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """A file or folder is not there."""
