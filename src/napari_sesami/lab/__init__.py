"""Research beside the product; nothing but the command line uses it.

Procedural scenes, the training of the bundled model, the tables of the papers and the
active-learning study.
"""
