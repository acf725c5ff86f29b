"""Where workers come from. Nothing else knows Ray or Optuna.

run          a run from its config to its metrics
workers      who works: this process, or Ray
in_process   one worker, this process, and a watchdog beside it
failures     what went wrong in a run that went on: a sentence, and a file with the story
ray_start    connected to Ray, or one sentence why not
ray_screen   what Ray's processes print
ray_train    workers under Ray Train
ray_watch    who of them hangs or died, and what the run does about it
ray_deaths   that in words
ray_waiting  what is waited for and what is free
ray_metrics  their readings as Ray metrics
ray_blocks   blocks of `prepare` as tasks of a cluster
ray_tune     sweeps
"""
