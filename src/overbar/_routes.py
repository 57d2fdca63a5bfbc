"""What `torch_ops.reroute` and `tf_ops.reroute` have rerouted, as text.

May import nothing of overbar.
"""

import threading


class Routes:
    """What was rerouted, and how often: printed as a table, or as a dictionary ``counts``.

    Attributes
    ----------
    counts : dict
        How many calls of each of the framework's functions went to an op, by the name of the function. (What a graph
        of TensorFlow's calls is counted while it is traced, and what torch.compile makes one of is not.)
    """

    def __init__(self, outer=None):
        self.counts: dict[str, int] = {}
        self.outer, self.lock = outer, threading.Lock()

    def add(self, name):
        routes = self
        while routes is not None:
            with routes.lock:
                routes.counts[name] = routes.counts.get(name, 0) + 1
            routes = routes.outer

    def __repr__(self):
        if not self.counts:
            return "nothing was rerouted"
        rows = sorted(self.counts.items(), key=lambda row: (-row[1], row[0]))
        width = len(str(rows[0][1]))
        return "\n".join(f"{count:{width}} × {name}" for name, count in rows)
