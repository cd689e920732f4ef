"""``python -m stilts_artifact`` is ``stilts-artifact``."""

from stilts_artifact.isolation import main

main()
