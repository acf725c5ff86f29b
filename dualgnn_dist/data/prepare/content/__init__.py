"""What is known of the items: compared with the log, brought into the store's order.

catalogue  the items that the modalities name against those of the log
features   modalities in item order
scale      how large the columns of modalities are
"""
