"""The private parts of PyTorch that this front cannot do without: all of them, and what no public name does.

May import torch. No other module here uses one, which a test sees to; another test says which of them an installed
PyTorch does not have. Names that are used in every call of an op are PyTorch's own objects, so that they cost no frame.
"""

import contextlib
import functools
import sys

import torch
from torch._C import _functorch
from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter
from torch._library.infer_schema import SUPPORTED_PARAM_TYPES
from torch._subclasses.functional_tensor import FunctorchFunctionalizeAPI
from torch.autograd import forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

# ---------------------------------------------------------------------------------------------------------------------
# Who looks at an operation. torch.func and torch.autograd.forward_ad begin and end their transforms, and say nothing of
# those that are at work.

are_transforms_active = torch._C._are_functorch_transforms_active
#: whether a tensor belongs to a level of torch.func, and to which one (-1: to none)
is_wrapped_tensor = _functorch.is_functorch_wrapped_tensor
level_of = _functorch.maybe_get_level
#: whether torch.autograd.grad(..., is_grads_batched=True) made this tensor, by a vmap older than torch.func's
is_legacy_batched = _functorch.is_legacy_batchedtensor
#: The tensor without the levels that have ended. torch.func.vjp returns a pullback that runs after its level's end.
unwrap_if_dead = _functorch.unwrap_if_dead
#: torch.is_autocast_enabled answers for one type of device
is_any_autocast_enabled = torch._C._is_any_autocast_enabled
#: what ``with torch.autograd.graph.saved_tensors_hooks(...)`` has entered; there is no other way to see it
top_saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks
#: how many modes of torch.utils._python_dispatch there are, without the list of them
count_dispatch_modes = torch._C._len_torch_dispatch_stack


def of_whole_batch(A):
    """The numbers of a tensor in the transforms of torch.func, with the dimensions that vmap hides in front."""
    while is_wrapped_tensor(A):
        hidden = _functorch.maybe_get_bdim(A)
        A = _functorch.get_unwrapped(A)
        A = A if hidden < 0 else A.movedim(hidden, 0)
    return A


def forward_mode():
    """Whether somebody computes forward derivatives."""
    if forward_ad._current_level >= 0:
        return True
    # a compiled graph enters the levels of torch.func without telling forward_ad
    return are_transforms_active() and any(
        interpreter.key() == _functorch.TransformType.Jvp for interpreter in _functorch.get_interpreter_stack()
    )


def is_traced():
    """Whether one of the modes that see each op go by is a tracer's, which has a key. Modes of the user's have none."""
    return any(getattr(mode, "_mode_key", None) is not None for mode in _get_current_dispatch_mode_stack())


def is_in_mode(kind):
    """Whether this thread is in a torch.overrides.TorchFunctionMode of this class. (A mode does not know it itself.)"""
    return any(isinstance(mode, kind) for mode in _get_current_function_mode_stack())


# ---------------------------------------------------------------------------------------------------------------------
# Autograd

#: a context in which forward mode is on, or off; torch.autograd calls `jvp` and `forward` of a Function with it off
set_forward_mode = forward_ad._set_fwd_grad_enabled
is_forward_mode_on = torch._C._is_fwd_grad_enabled
#: The primal and the tangent. forward_ad.unpack_dual does not know of the level that a compiled graph has entered.
unpack_dual = functools.partial(torch._VF._unpack_dual, level=0)
#: whether a tensor is a view of another; Tensor._base would make one of it
is_view = torch.Tensor._is_view
#: whether two tensors share their memory; storages can be compared for tensors that have one, and not all have
is_alias_of = torch._C._is_alias_of
#: The error of torch.linalg for what LAPACK said of each matrix. It costs nothing while tracing, knows meta and fake
#: tensors, and looks at a device once.
raise_linalg_errors = torch._linalg_check_errors
#: torch.linalg.det with the factors that it has computed, of which public functions would compute another copy
det_with_factors = torch._linalg_det


def apply_outside_transforms(function):
    """The `apply` of a Function without that of Python, which binds the arguments to the signature of `forward` first.
    That costs as much as a small op, and only transforms of torch.func need it."""
    return super(torch.autograd.Function, function).apply


# ---------------------------------------------------------------------------------------------------------------------
# Ops of torch.library with an autograd kernel of their own. torch.library.register_autograd has no forward mode, and
# cannot be differentiated by torch.func.

#: the key under which an op is told of a call that transforms of torch.func look at, before any of them has begun
BEFORE_TRANSFORMS = "FuncTorchDynamicLayerFrontMode"


def functionalized(op, arrays, options):
    """What the innermost transform makes of an op, if that is torch.func.functionalize, which knows no Functions; else
    None."""
    interpreter = retrieve_current_functorch_interpreter()
    if interpreter.key() != _functorch.TransformType.Functionalize:
        return None
    level = FunctorchFunctionalizeAPI(interpreter)
    arrays = level.unwrap_tensors(arrays)
    with level.redispatch_to_next():
        found = op(*arrays, **options)
    return level.wrap_tensors(found)


#: what lies below autograd for the dispatcher, and the context in which ops go there
below_autograd = torch._C._AutoDispatchBelowAutograd
AFTER_AUTOGRAD = torch._C._after_autograd_keyset
#: the annotations that torch.library.infer_schema takes
SCHEMA_TYPES = frozenset(SUPPORTED_PARAM_TYPES)


@contextlib.contextmanager
def lazy_conjugation():
    """Switch on what computes with lazily conjugated tensors, x.conj() and x.mH. Below a mode that watches all ops,
    torch.compile's own in the first call of a graph for one, it is off: the conjugation would be left out silently."""
    keys = torch._C.DispatchKey
    with (
        torch._C._SetExcludeDispatchKeyGuard(keys.Conjugate, False),
        torch._C._SetExcludeDispatchKeyGuard(keys.Negative, False),
    ):
        yield


def remove_ops(library):
    """Forget the ops of a torch.library.Library now. Without it, they are there until nobody has the library."""
    library._destroy()


# ---------------------------------------------------------------------------------------------------------------------
# Dynamo


def assume_constant_result(function):
    """As torch.compiler.assume_constant_result, which imports dynamo. Importing `torch_ops` would take 30 times as
    long."""
    function._dynamo_marked_constant = True
    return function


def graph_break(message):
    """Where dynamo traces, let it go on outside of its graph. (torch.compiler has no name for it.)"""
    torch._dynamo.graph_break(msg=message)


# ---------------------------------------------------------------------------------------------------------------------
# Functions of PyTorch's that are replaced

#: the class of what torch.lu(A, get_infos=True) returns
LUWithInfo = torch.return_types._lu_with_info


def is_removed(name):
    """Whether all that is left of torch.<name> is the error which says what to use instead."""
    return getattr(getattr(torch, name, None), "__module__", "") == "torch._linalg_utils"


#: how often a tensor has been changed in place
version_of = torch.Tensor._version.__get__


def factor_of_normal(normal):
    """The factor of a torch.distributions.MultivariateNormal as it was computed; its public name has another one in the
    graph."""
    return normal._unbroadcasted_scale_tril


def validate_sample_of(distribution, value):
    """What each distribution does first in `log_prob`."""
    if distribution._validate_args:
        distribution._validate_sample(value)


#: the module of what is written in C++
COMPILED = torch._C.__name__
#: the `__torch_function__` of a class that overrides nothing, such as torch.nn.Parameter
IS_NOT_OVERRIDDEN = torch._C._disabled_torch_function_impl


def is_compiler_in_use():
    """Whether somebody has asked torch.compile for something, in this process."""
    frames = sys.modules.get("torch._dynamo.eval_frame")
    return frames is not None and any(backend is not None for backend in frames.cached_backends.values())


def tables_of_dynamo():
    """What makes dynamo's tables of what torch consists of, once."""
    rules = sys.modules.get("torch._dynamo.trace_rules")
    return () if rules is None else (rules.get_torch_obj_rule_map, rules.get_tensor_method)


def know_in_torchscript(stand_in, function):
    """Let TorchScript take a function for another one, whose operator or source it knows."""
    if operator := torch.jit._builtins._find_builtin(function):
        torch.jit._builtins._register_builtin(stand_in, operator)
    stand_in.__prepare_scriptable__ = lambda: function


def exchange_checkpoints(exchanged):
    """Replace what runs a function in an activation checkpoint, `generator(fn, ...)`, by ``exchanged(generator)``: for
    checkpoints without reentrant autograd, of which torch.utils.checkpoint has no public hook."""
    from torch.utils import checkpoint  # not everybody's

    checkpoint._checkpoint_without_reentrant_generator = exchanged(checkpoint._checkpoint_without_reentrant_generator)
    if hasattr(checkpoint, "_checkpoint_without_reentrant_generator_impl"):  # since PyTorch 2.14
        checkpoint._checkpoint_without_reentrant_generator_impl = exchanged(
            checkpoint._checkpoint_without_reentrant_generator_impl
        )
