"""Pictures of what a model attends to, over the frames of the clip it saw.

An explanation is drawn from the model's own numbers: the attention weights of the
explicit path, before dropout. `explaining` collects them, each figure has a module, and
`writing` puts all of it into one folder.
"""
