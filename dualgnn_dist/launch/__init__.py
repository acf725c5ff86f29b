"""Where workers come from. Nothing else knows Ray or Optuna.

run            a run from its config to its metrics
workers        who works: this process, or Ray
in_process     one worker, this process
ray_train      workers under Ray Train
ray_temporary  where a local Ray keeps its sockets
ray_metrics    their readings as Ray metrics
ray_blocks     blocks of `prepare` as tasks of a cluster
ray_tune       sweeps
"""
