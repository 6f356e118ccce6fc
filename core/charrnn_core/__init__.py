"""A vanilla recurrent network on characters: text, network, training, run directory.

The rooms, in the order in which they may import each other: `errors`, `memory`, `text`, `rnn`, `training`,
`runs`. Nothing here knows a terminal. The equations and the names of everything are in core/README.md.
"""

__version__ = "0.1.0"
