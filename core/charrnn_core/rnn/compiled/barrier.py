"""The point at which threads that share the work on one update wait for each other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from charrnn_core.rnn.compiled.machine import in_llvm, internal_function

BARRIER_SIZE = 24
"""Integers of a barrier: how many have come, how often all have, `GIVEN_UP`; each in a line of the cache."""

GIVEN_UP = 16
"""Where a barrier has a one when not all will come: then nobody waits any longer."""

_SPINS = 2000  # looks at the others before the processor is offered to somebody else


@in_llvm
def wait_for_others(typing: Any, barrier: Any, threads: Any) -> Any:
    """Return when all threads have come here.

    `barrier` points to `BARRIER_SIZE` integers that are zeros before the first time.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.call(_barrier_function(builder.module), arguments)
        return context.get_dummy_value()

    return types.void(barrier, types.int64), generate


def _barrier_function(module: Any) -> Any:
    name = "charrnn_barrier"
    if name in module.globals:
        return module.globals[name]
    number = ir.IntType(64)
    function = internal_function(module, name, [number.as_pointer(), number])
    barrier, threads = function.args
    entry, several, last, again, look, offer, done = (
        function.append_basic_block(label)
        for label in ("entry", "several", "last", "again", "look", "offer", "done")
    )
    ir.IRBuilder(done).ret_void()
    builder = ir.IRBuilder(entry)
    builder.cbranch(builder.icmp_signed(">", threads, number(1)), several, done)

    builder = ir.IRBuilder(several)
    rounds = builder.gep(barrier, [number(8)])
    this_round = builder.load_atomic(rounds, "acquire", 8)
    come = builder.add(builder.atomic_rmw("add", barrier, number(1), "acq_rel"), number(1))
    builder.cbranch(builder.icmp_signed("==", come, threads), last, again)

    builder = ir.IRBuilder(last)
    builder.store_atomic(number(0), barrier, "monotonic", 8)
    builder.atomic_rmw("add", rounds, number(1), "acq_rel")
    builder.branch(done)

    ir.IRBuilder(again).branch(look)
    builder = ir.IRBuilder(look)
    looks = builder.phi(number)
    still = builder.icmp_signed("==", builder.load_atomic(rounds, "acquire", 8), this_round)
    looked = builder.add(looks, number(1))
    patient = builder.icmp_signed("<", looked, number(_SPINS))
    looks.add_incoming(number(0), again)
    looks.add_incoming(looked, look)
    looks.add_incoming(number(0), offer)
    spin = function.append_basic_block("spin")
    builder.cbranch(still, spin, done)
    looks.incomings[1] = (looked, spin)
    builder = ir.IRBuilder(spin)
    builder.cbranch(patient, look, offer)
    builder = ir.IRBuilder(offer)
    kind = ir.FunctionType(ir.IntType(32), [])
    offer_processor = module.globals.get("sched_yield") or ir.Function(module, kind, "sched_yield")
    builder.call(offer_processor, [])
    given_up = builder.load_atomic(builder.gep(barrier, [number(GIVEN_UP)]), "monotonic", 8)
    builder.cbranch(builder.icmp_signed("==", given_up, number(0)), look, done)
    return function
