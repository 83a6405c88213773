// A group of 32 activations to int8 by one invocation; `value4(i)` of the file that includes this gives four neighbours.
#include "int8.wgsl"

fn put_group(g: u32) {
    var most = 0.0;
    for (var i = 0u; i < 8u; i++) {
        most = max(most, largest(value4(g * 8u + i)));
    }
    let inverse = inverse_scale(most);
    var sum = 0;
    for (var i = 0u; i < 8u; i++) {
        sum += put_word(g * 8u + i, value4(g * 8u + i), inverse);
    }
    put_scale(g, most, sum);
}
