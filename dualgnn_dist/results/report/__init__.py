"""A run or a sweep as one HTML page that loads nothing.

run_page         a run
sweep_page       a sweep
data             the section on the data
time_and_memory  the section on seconds and bytes
intervals        confidence intervals over users
axes             values to places, with ticks
charts           line and dot charts as shapes
blocks           what a page is made of
page             the templates in templates/ lay it out
"""
