"""A run or a sweep as one HTML page that loads nothing.

run_page         a run
sweep_page       a sweep
data             the section on the data
time_and_memory  the section on seconds and bytes
intervals        confidence intervals over users
charts           line and dot charts as SVG
axes             their axes
page             the frame of a page
markup           text that cannot become markup
style            its CSS
"""
