"""The command ``unrolled``: one file a verb, imported only when that verb is used.

Built on click itself: the options of ``train`` come from the metadata of the options dataclass, and click
starts in a third of the time of the layers on top of it. rich is imported only by the verbs that draw.
"""
