# SPDX-License-Identifier: GPL-3.0-or-later
"""How operators tell users what is wrong: why they cannot be used now, and why what they tried did not work."""

import functools

from blockcore.errors import BlockcoreError


class Conditional:
    """Mix-in of operators that cannot always be used; one that has it says in ``obstacle`` what is in the way."""

    @classmethod
    def poll(cls, context):
        """Whether nothing is in the way; what is shows in the tooltip."""
        obstacle = cls.obstacle(context)
        if obstacle:
            cls.poll_message_set(obstacle)
        return not obstacle


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
