"""Builds what the Dockerfile describes in a scratch folder, and tries it. Standard library only."""
