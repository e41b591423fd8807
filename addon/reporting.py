# SPDX-License-Identifier: GPL-3.0-or-later
"""How operators tell users what went wrong: the error's one line, and CANCELLED."""

import functools

from blockcore.errors import BlockcoreError


def reporting(execute):
    """Makes an operator's ``execute`` report a ``BlockcoreError`` and return CANCELLED."""

    @functools.wraps(execute)
    def wrapped(self, context):
        try:
            return execute(self, context)
        except BlockcoreError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    return wrapped
