"""The one kind of error that a user can mend."""


class InputError(ValueError):
    """Something handed in is wrong: the message says what, where, and what to do.

    The command line prints it as one line and exits with code 2; any other exception is
    a defect of ours and keeps its traceback.
    """
