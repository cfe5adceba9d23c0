"""The one exception that speaks to the user rather than to the programmer."""


class UserError(ValueError):
    """Something that the user gave cannot be used; the message is one sentence with place and mend.

    The command line prints the message alone, without a traceback, and exits with status 1.
    """
