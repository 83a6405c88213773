//! Sixteen bits to f32, IEEE half precision and bfloat16, without branches so that the compiler vectorizes it: in the page
//! there is no instruction for it.

/// The exact value of a bfloat16 given by its bits.
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The exact value of a half given by its bits, subnormals, infinities and NaNs included.
pub(crate) fn to_f32(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let magnitude = bits & 0x7fff;
    // Moves the exponent's bias from 15 to 127; exact for subnormals too, since the product is normal.
    let scaled = (f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23)).to_bits();
    let special = 0x7f80_0000 | (magnitude << 13);
    let value = if magnitude >= 0x7c00 { special } else { scaled };
    f32::from_bits(value | ((bits & 0x8000) << 16))
}

pub(crate) fn widen(value: impl Fn(u16) -> f32, from: &[u16], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = value(*from);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_half_widens_to_its_value() {
        for bits in 0..=u16::MAX {
            let (ours, reference) = (super::to_f32(bits), half::f16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == reference.to_bits() || (ours.is_nan() && reference.is_nan()),
                "{bits:#06x}: {ours} for {reference}"
            );
            let (ours, reference) = (super::bf16_to_f32(bits), half::bf16::from_bits(bits).to_f32());
            assert!(ours == reference || (ours.is_nan() && reference.is_nan()), "{bits:#06x}: {ours} for {reference}");
        }
    }
}
