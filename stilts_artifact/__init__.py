"""stilts-artifact: reproduce and check the tables of arXiv 2005.13013v2 (X-STILTs)."""

__version__ = "0.1.0"
