"""What pyproject.toml cannot say: every package that there is, and the configs beside them as one of data."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["dualgnn_dist*"]), "dualgnn_dist.configs"])
