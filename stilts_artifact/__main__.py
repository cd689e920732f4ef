"""``python -m stilts_artifact`` is ``stilts-artifact``."""

from stilts_artifact.cli import main

main()
