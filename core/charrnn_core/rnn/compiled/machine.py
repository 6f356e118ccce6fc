"""What compiled code is made of: functions, pointers, and functions written in LLVM's instructions.

Compiled functions work on pointers: an index into an array costs a look at its sign, a slice of it costs
more, and both take longer to compile. Nothing here allocates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding
import numba
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


def _has_long_vectors() -> bool:
    """Return whether code is compiled for AVX-512: on this processor, or as NUMBA_CPU_FEATURES says."""
    chosen = numba.config.CPU_FEATURES
    if chosen is not None:
        return "+avx512f" in str(chosen).split(",")
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))


VECTOR_BYTES = 64 if _has_long_vectors() else 32
"""Size of a vector: with AVX-512 16 numbers in float32 and 8 in float64, else half as many.

On a processor with shorter vectors LLVM uses several.
"""

Function = TypeVar("Function", bound=Callable[..., Any])

SAFE_MATH = {"reassoc", "contract", "arcp", "nsz"}
"""What LLVM may do to sums and products. Not `nnan` or `ninf`: they would hide divergence."""


def compiled(*, sums: bool = False, once: bool = False) -> Callable[[Function], Function]:
    """Return the decorator of a function that compiled code calls.

    Parameters
    ----------
    sums : bool
        Whether sums and products may be regrouped so that they can be vectorised.
    once : bool
        Whether it becomes a part of its one caller before anything is compiled, which then takes less time.
    """
    options: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    # Nothing here allocates, so nothing needs references counted.
    if once:
        options["inline"] = "always"
    decorator = njit(_nrt=False, fastmath=SAFE_MATH if sums else {"contract"}, **options)
    return cast("Callable[[Function], Function]", decorator)


def in_llvm(function: Callable[..., Any]) -> Any:
    """Make a function that returns a signature, and what writes LLVM's instructions, one to be called."""
    return intrinsic(function)


@in_llvm
def pointer(typing: Any, array: Any) -> Any:
    """Return the pointer to an array's first number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@in_llvm
def at(typing: Any, place: Any, offset: Any) -> Any:
    """Return the pointer that is so many numbers further."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return place(place, types.int64), generate


def vector_of(context: Any, real: Any) -> tuple[Any, int, Any, Any]:
    """Return the element's type, how many make a vector, and the types of an integer and of a bit."""
    return context.get_value_type(real), VECTOR_BYTES * 8 // real.bitwidth, ir.IntType(64), ir.IntType(1)


def internal_function(module: Any, name: str, arguments: list[Any]) -> Any:
    """Return a new function of a module that nothing outside of it can call."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    return function


@in_llvm
def stay_apart(typing: Any) -> Any:
    """Keep the function that calls this from being copied into its callers: much less code to compile."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@compiled()
def share(count: int, me: int, threads: int) -> tuple[int, int]:
    """Return where the share of one thread in `count` things begins and ends."""
    return count * me // threads, count * (me + 1) // threads
