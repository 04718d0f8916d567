"""``python -m minprune`` is the ``minprune`` command."""

from minprune.cli import main

main()
