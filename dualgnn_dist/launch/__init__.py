"""How workers come to be: in this process, or under Ray. No other part knows Ray."""
