"""What the paper left open: the analysis of five studies, from published files alone."""
