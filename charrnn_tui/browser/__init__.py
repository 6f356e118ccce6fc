"""The dashboard in a web page."""
