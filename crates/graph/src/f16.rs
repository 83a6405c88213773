//! Sixteen bits to f32, IEEE half precision and bfloat16, without branches so that the compiler vectorizes it: in the page
//! there is no instruction for it.

/// The exact value of a bfloat16 given by its bits.
#[inline]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The exact value of a half given by its bits, subnormals, infinities and NaNs included.
#[inline]
pub fn to_f32(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let magnitude = bits & 0x7fff;
    // Moves the exponent's bias from 15 to 127; exact for subnormals too, since the product is normal.
    let scaled = (f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23)).to_bits();
    let special = 0x7f80_0000 | (magnitude << 13);
    let value = if magnitude >= 0x7c00 { special } else { scaled };
    f32::from_bits(value | ((bits & 0x8000) << 16))
}

/// Each of `from` by `value`.
#[inline]
pub fn widen(value: impl Fn(u16) -> f32, from: &[u16], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = value(*from);
    }
}

/// The nearest half as a float, the even one of two; at most ±65504. What states of halves hold.
#[inline]
pub fn rounded(x: f32) -> f32 {
    let (magnitude, sign) = (x.to_bits() & 0x7fff_ffff, x.to_bits() & 0x8000_0000);
    let normal = (magnitude + 0xfff + ((magnitude >> 13) & 1)) & !0x1fff;
    // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴, as floats from ½ to 1 are.
    let small = (f32::from_bits(magnitude) + 0.5) - 0.5;
    let value = if magnitude < 0x3880_0000 { small.to_bits() } else { normal.min(0x477f_e000) };
    let value = if magnitude > 0x7f80_0000 { magnitude } else { value };
    f32::from_bits(value | sign)
}

/// Every value to the nearest half.
#[inline]
pub fn round(values: &mut [f32]) {
    for value in values {
        *value = rounded(*value);
    }
}
