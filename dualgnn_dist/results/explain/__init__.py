"""What a finished run learned of its users.

explanation  modality weights and co-users
communities  k-means of users
screen       what `explain` shows
"""
