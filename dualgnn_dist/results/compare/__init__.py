"""Finished runs compared.

comparison    seeds of one setting make a row; rows are tested against each other
paired_tests  the statistics
text          the comparison as text, Markdown, JSON and a picture
"""
