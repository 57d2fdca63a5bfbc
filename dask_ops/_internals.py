"""The private parts of Dask that this front cannot do without: all of them, and what no public name does.

May import Dask. No other module here uses one, which a test sees to; another test says which of them an installed Dask
does not have.
"""

from dask import _task_spec

# The nodes of a graph. Dask still takes the tuples of older versions, and translates each of them into one of these.

#: a task: ``Task(key, function, *args)``, in which a reference stands for what another task gives
Task = _task_spec.Task
#: a reference to what another task gives
Ref = _task_spec.TaskRef
#: another name for what a task gives, which costs nothing
Alias = _task_spec.Alias
