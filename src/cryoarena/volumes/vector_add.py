"""Add a piece of one array, times four factors, to four places of another by vector instructions, in compiled loops.

The compiler turns a loop over so few numbers into scalar instructions, and reads the piece again for every place, which
takes twice the time where many such pieces are added up.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _adder(lanes: int) -> Any:
    vector = ir.VectorType(ir.FloatType(), lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

    def add(typing: Any, into: Any, places: Any, source: Any, start: Any, factors: Any) -> Any:
        """Do into[p : p + lanes] += f · source[start : start + lanes] for four p and f.

        Both are flat float32 arrays; nothing is checked.
        """

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target, all_places, origin, first, all_factors = arguments

            def pointer(array: int, value: Any, index: Any) -> Any:
                data = context.make_array(signature.args[array])(context, builder, value).data
                return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())

            piece = builder.load(pointer(2, origin, first), align=4)
            for corner in range(4):
                at = pointer(0, target, builder.extract_value(all_places, corner))
                factor = builder.extract_value(all_factors, corner)
                one_lane = builder.insert_element(undefined, factor, ir.Constant(ir.IntType(32), 0))
                lanes_of_factor = builder.shuffle_vector(one_lane, undefined, first_lane)
                product = builder.fmul(piece, lanes_of_factor, flags=("fast",))
                builder.store(builder.fadd(builder.load(at, align=4), product, flags=("fast",)), at, align=4)
            return context.get_dummy_value()

        return types.void(into, places, source, start, factors), generate

    return intrinsic(add)


add8 = _adder(8)
add4 = _adder(4)
add2 = _adder(2)
add1 = _adder(1)
