"""Raw data to a store, and the store.

prepare         raw interactions and features -> a store's folder
store           the folder: written once, mapped, read
hidden_content  content hidden as an experiment
config          the `data` section of a config
from_python     a store of tables in memory
make            a store where a config wants it: opened, or made first
"""
