"""Add a scaled piece of one array to another by vector instructions, for use within compiled loops.

The compiler turns a loop over so few numbers into scalar instructions, which take twice the time where many such pieces
are added up.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _adder(lanes: int) -> Any:
    vector = ir.VectorType(ir.FloatType(), lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

    def add(typing: Any, into: Any, i: Any, source: Any, j: Any, factor: Any) -> Any:
        """Do into[i : i + lanes] += factor · source[j : j + lanes], both flat float32 arrays; nothing is checked."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def place(array: int) -> Any:
                data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
                return builder.bitcast(builder.gep(data, [arguments[array + 1]]), vector.as_pointer())

            target = place(0)
            one_lane = builder.insert_element(undefined, arguments[4], ir.Constant(ir.IntType(32), 0))
            factors = builder.shuffle_vector(one_lane, undefined, first_lane)
            product = builder.fmul(builder.load(place(2), align=4), factors, flags=("fast",))
            builder.store(builder.fadd(builder.load(target, align=4), product, flags=("fast",)), target, align=4)
            return context.get_dummy_value()

        return types.void(into, i, source, j, factor), generate

    return intrinsic(add)


add8 = _adder(8)
add4 = _adder(4)
add2 = _adder(2)
