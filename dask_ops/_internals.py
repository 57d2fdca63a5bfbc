"""The private parts of Dask that this front cannot do without: all of them, and what no public name does.

May import Dask. No other module here uses one, which a test sees to; another test says which of them an installed Dask
does not have.
"""

import sys

from dask import _task_spec, config

# The nodes of a graph. Dask still takes the tuples of older versions, and translates each of them into one of these.

#: a task: ``Task(key, function, *args)``, in which a reference stands for what another task gives
Task = _task_spec.Task
#: a reference to what another task gives
Ref = _task_spec.TaskRef
#: another name for what a task gives, which costs nothing
Alias = _task_spec.Alias


def memory_of_worker() -> float | None:
    """With how many bytes the worker that runs this task is killed: None where there is none, or nobody to kill it.

    A worker has its limit in a manager that no document names, and the share of it in the settings of the process that
    watches over the worker, which has those of the worker, too."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        worker = distributed.get_worker()
    except ValueError:
        return None
    share = config.get("distributed.worker.memory.terminate", False)
    limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    return share * limit if worker.nanny and share and limit else None
