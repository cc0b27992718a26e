"""The one exception that is shown to users as a sentence."""


class UserError(Exception):
    """Wrong input. The message is one sentence that names the file, the row and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """
