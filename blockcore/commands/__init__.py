"""The subcommands of ``python -m blockcore``, one module each.

Each has ``add_arguments(parser)`` and ``run(args) -> int``. They import what they need inside ``run``, so that
``--help`` loads neither torch nor numba.
"""
