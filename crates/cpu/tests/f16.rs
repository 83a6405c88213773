//! Conversions of sixteen bits, held against the `half` crate.

use lantern_graph::f16;

#[test]
fn floats_round_as_ieee_says_up_to_the_largest_half() {
    // A step coprime to powers of two meets every kind of mantissa at every exponent.
    for bits in (0..=u32::MAX).step_by(60_013).chain([0x387f_ffff, 0x3880_0000, 0x477f_f000, 0x7f80_0000]) {
        let x = f32::from_bits(bits);
        let (ours, reference) = (f16::rounded(x), half::f16::from_f32(x).to_f32().clamp(-65504.0, 65504.0));
        assert!(
            ours.to_bits() == reference.to_bits() || (ours.is_nan() && reference.is_nan()),
            "{x:e}: {ours:e} for {reference:e}"
        );
    }
}

#[test]
fn every_half_widens_to_its_value() {
    for bits in 0..=u16::MAX {
        let (ours, reference) = (f16::to_f32(bits), half::f16::from_bits(bits).to_f32());
        assert!(
            ours.to_bits() == reference.to_bits() || (ours.is_nan() && reference.is_nan()),
            "{bits:#06x}: {ours} for {reference}"
        );
        let (ours, reference) = (f16::bf16_to_f32(bits), half::bf16::from_bits(bits).to_f32());
        assert!(ours == reference || (ours.is_nan() && reference.is_nan()), "{bits:#06x}: {ours} for {reference}");
    }
}
