"""Ways in: foreign streams mapped to observations, run near the cameras as an edge client.

Pure mappings lie in files of their own; `edge.sources.runner` is the shell around them.
"""
