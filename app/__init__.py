"""Serve the web page: compare two creatives, rank many, keep a history and feedback."""
