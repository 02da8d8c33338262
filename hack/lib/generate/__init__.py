"""Files of the repository that are made from others, and never edited by hand."""
