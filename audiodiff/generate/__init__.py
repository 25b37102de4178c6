"""A library of sounds from a table of prompts: read, expanded, drawn, judged, and delivered as files one can use."""
