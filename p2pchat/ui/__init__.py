"""
What a person or a program sees of a node: the console and the JSON lines.

On top of :class:`p2pchat.interfaces.INode` only.  The pure parts (commands, line editor, wording)
know neither files nor terminals; the adapters know no words.
"""
