//! The types of quantized weights as they lie in a file ([`lantern_graph::DType`] has their formulas), and how 32 of a row's
//! weights become `scale · integer + minimum`.

use super::activations::GROUPS;
use super::arch::Arch;

/// Bits of an f16, little end first.
type Half = [u8; 2];

/// What the groups of up to 256 weights are scaled by.
pub struct Factors {
    /// Of groups that are not there: 0.
    pub scales: [f32; GROUPS],
    /// What is added to each weight of a group.
    pub minimums: [f32; GROUPS],
    /// Where halves of a group differ: what each one's integers are multiplied by, in `scale`s, and what is added to its weights,
    /// in `minimum`s.
    pub halves: [i8; 2 * GROUPS],
    pub half_minimums: [i8; 2 * GROUPS],
    pub scale: f32,
    pub minimum: f32,
}

const NONE: Factors = Factors {
    scales: [0.0; GROUPS],
    minimums: [0.0; GROUPS],
    halves: [0; 2 * GROUPS],
    half_minimums: [0; 2 * GROUPS],
    scale: 0.0,
    minimum: 0.0,
};

/// What is added to weights.
#[derive(PartialEq)]
pub enum Minimums {
    None,
    Groups,
    Halves,
}

/// A block of weights as it is in a file.
///
/// # Safety
/// Made of bytes alone: every sequence of as many bytes is a value.
pub unsafe trait Packed: Sync + Sized {
    /// Of 32 weights, in a block: 1 or all.
    const GROUPS: usize;
    const MINIMUMS: Minimums;
    const SIGNED: bool = false;

    /// Of the blocks of 256 weights, or of a row's last ones.
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors;

    /// Group g of these.
    fn unpack<A: Arch>(arch: A, blocks: &[Self], factors: &Factors, g: usize) -> A::Weights;
}

#[repr(C)]
pub struct Q8_0 {
    d: Half,
    q: [u8; 32],
}

#[repr(C)]
pub struct Q4_0 {
    d: Half,
    q: [u8; 16],
}

#[repr(C)]
pub struct Q4_1 {
    d: Half,
    m: Half,
    q: [u8; 16],
}

#[repr(C)]
pub struct Q5_0 {
    d: Half,
    fifth: [u8; 4],
    q: [u8; 16],
}

#[repr(C)]
pub struct Q5_1 {
    d: Half,
    m: Half,
    fifth: [u8; 4],
    q: [u8; 16],
}

/// Scales in the lower and minimums in the upper four bits.
#[repr(C)]
pub struct Q2K {
    scales: [u8; 16],
    q: [[u8; 32]; 2],
    d: Half,
    dm: Half,
}

#[repr(C)]
pub struct Q3K {
    third: [u8; 32],
    q: [[u8; 32]; 2],
    scales: [u8; 12],
    d: Half,
}

#[repr(C)]
pub struct Q4K {
    d: Half,
    dm: Half,
    scales: [u8; 12],
    q: [[u8; 32]; 4],
}

#[repr(C)]
pub struct Q5K {
    d: Half,
    dm: Half,
    scales: [u8; 12],
    fifth: [u8; 32],
    q: [[u8; 32]; 4],
}

#[repr(C)]
pub struct Q6K {
    q: [[[u8; 32]; 2]; 2],
    upper: [[u8; 32]; 2],
    scales: [u8; 16],
    d: Half,
}

#[inline(always)]
fn half<A: Arch>(arch: A, bits: Half) -> f32 {
    arch.halves(&[u16::from_le_bytes(bits); GROUPS])[0]
}

/// One of each block.
#[inline(always)]
fn halves<A: Arch, T>(arch: A, blocks: &[T], bits: impl Fn(&T) -> Half) -> [f32; GROUPS] {
    let mut all = [0; GROUPS];
    for (all, block) in all.iter_mut().zip(blocks) {
        *all = u16::from_le_bytes(bits(block));
    }
    arch.halves(&all)
}

/// `d · (q − zero)`, of each block.
#[inline(always)]
fn around<A: Arch, T>(arch: A, blocks: &[T], zero: f32, d: impl Fn(&T) -> Half) -> Factors {
    let scales = halves(arch, blocks, d);
    Factors { scales, minimums: scales.map(|scale| -zero * scale), ..NONE }
}

/// `d · s · (q − zero)` for each half of a group.
#[inline(always)]
fn around_halves(d: f32, zero: f32, halves: [i8; 16]) -> Factors {
    Factors { halves, half_minimums: halves, scale: d, minimum: -zero * d, ..NONE }
}

/// Eight scales and eight minimums of 6 bits: the lower four whole, the upper bits of the others above those.
#[inline(always)]
fn sixes<A: Arch>(arch: A, d: Half, dm: Half, packed: &[u8; 12]) -> Factors {
    let [a, b, c] = words(packed);
    let upper = |word: u32| (word >> 6 & 0x0303_0303) << 4;
    let bytes = |lower: u32, upper: u32| ((u64::from(upper) << 32) | u64::from(lower)).to_le_bytes();
    let scales = bytes(a & 0x3f3f_3f3f, c & 0x0f0f_0f0f | upper(a));
    let minimums = bytes(b & 0x3f3f_3f3f, c >> 4 & 0x0f0f_0f0f | upper(b));
    let (d, dm) = (half(arch, d), half(arch, dm));
    Factors { scales: scales.map(|s| d * f32::from(s)), minimums: minimums.map(|m| -dm * f32::from(m)), ..NONE }
}

#[inline(always)]
fn words(bytes: &[u8; 12]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_le_bytes)
}

// SAFETY, of all: arrays of bytes.

unsafe impl Packed for Q8_0 {
    const GROUPS: usize = 1;
    const MINIMUMS: Minimums = Minimums::None;
    const SIGNED: bool = true;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        Factors { scales: halves(arch, blocks, |block| block.d), ..NONE }
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        arch.signed(&blocks[g].q)
    }
}

unsafe impl Packed for Q4_0 {
    const GROUPS: usize = 1;
    const MINIMUMS: Minimums = Minimums::Groups;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        around(arch, blocks, 8.0, |block| block.d)
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        arch.unsigned(arch.nibbles(&blocks[g].q))
    }
}

unsafe impl Packed for Q4_1 {
    const GROUPS: usize = 1;
    const MINIMUMS: Minimums = Minimums::Groups;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        let minimums = halves(arch, blocks, |block| block.m);
        Factors { scales: halves(arch, blocks, |block| block.d), minimums, ..NONE }
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        arch.unsigned(arch.nibbles(&blocks[g].q))
    }
}

unsafe impl Packed for Q5_0 {
    const GROUPS: usize = 1;
    const MINIMUMS: Minimums = Minimums::Groups;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        around(arch, blocks, 16.0, |block| block.d)
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        arch.unsigned(arch.or(arch.nibbles(&blocks[g].q), arch.fifths(&blocks[g].fifth)))
    }
}

unsafe impl Packed for Q5_1 {
    const GROUPS: usize = 1;
    const MINIMUMS: Minimums = Minimums::Groups;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        let minimums = halves(arch, blocks, |block| block.m);
        Factors { scales: halves(arch, blocks, |block| block.d), minimums, ..NONE }
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        arch.unsigned(arch.or(arch.nibbles(&blocks[g].q), arch.fifths(&blocks[g].fifth)))
    }
}

unsafe impl Packed for Q2K {
    const GROUPS: usize = GROUPS;
    const MINIMUMS: Minimums = Minimums::Halves;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        let (d, dm) = (half(arch, blocks[0].d), half(arch, blocks[0].dm));
        let scales = &blocks[0].scales;
        let (halves, half_minimums) = (scales.map(|both| (both & 15) as i8), scales.map(|both| (both >> 4) as i8));
        Factors { halves, half_minimums, scale: d, minimum: -dm, ..NONE }
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], factors: &Factors, g: usize) -> A::Weights {
        let q = arch.right(arch.load(&blocks[0].q[g / 4]), 2 * (g % 4) as u32, 3);
        arch.scaled(q, &factors.halves, g)
    }
}

unsafe impl Packed for Q3K {
    const GROUPS: usize = GROUPS;
    const MINIMUMS: Minimums = Minimums::Halves;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        // The lower four bits of eight and eight, then the upper two of all.
        let [a, b, c] = words(&blocks[0].scales);
        let six = |word: u32, upper: u32| word & 0x0f0f_0f0f | (upper & 0x0303_0303) << 4;
        let all = [six(a, c), six(b, c >> 2), six(a >> 4, c >> 4), six(b >> 4, c >> 6)];
        // Less 32, in each byte by itself; all at once, since four words in memory are slow to be read as one.
        let all = all
            .iter()
            .rev()
            .fold(0, |all: u128, word| all << 32 | u128::from(((word | 0x8080_8080) - 0x2020_2020) ^ 0x8080_8080));
        let halves = all.to_le_bytes().map(|scale| scale as i8);
        around_halves(half(arch, blocks[0].d), 4.0, halves)
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], factors: &Factors, g: usize) -> A::Weights {
        let lower = arch.right(arch.load(&blocks[0].q[g / 4]), 2 * (g % 4) as u32, 3);
        let third = arch.load(&blocks[0].third);
        let third = if g < 2 { arch.left(third, 2 - g as u32, 4) } else { arch.right(third, g as u32 - 2, 4) };
        arch.scaled(arch.or(lower, third), &factors.halves, g)
    }
}

unsafe impl Packed for Q4K {
    const GROUPS: usize = GROUPS;
    const MINIMUMS: Minimums = Minimums::Groups;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        sixes(arch, blocks[0].d, blocks[0].dm, &blocks[0].scales)
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        arch.unsigned(arch.right(arch.load(&blocks[0].q[g / 2]), 4 * (g % 2) as u32, 15))
    }
}

unsafe impl Packed for Q5K {
    const GROUPS: usize = GROUPS;
    const MINIMUMS: Minimums = Minimums::Groups;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        sixes(arch, blocks[0].d, blocks[0].dm, &blocks[0].scales)
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], _: &Factors, g: usize) -> A::Weights {
        let lower = arch.right(arch.load(&blocks[0].q[g / 2]), 4 * (g % 2) as u32, 15);
        let fifth = arch.load(&blocks[0].fifth);
        let fifth = if g < 4 { arch.left(fifth, 4 - g as u32, 16) } else { arch.right(fifth, g as u32 - 4, 16) };
        arch.unsigned(arch.or(lower, fifth))
    }
}

unsafe impl Packed for Q6K {
    const GROUPS: usize = GROUPS;
    const MINIMUMS: Minimums = Minimums::Halves;

    #[inline(always)]
    fn factors<A: Arch>(arch: A, blocks: &[Self]) -> Factors {
        around_halves(half(arch, blocks[0].d), 32.0, blocks[0].scales.map(|scale| scale as i8))
    }

    #[inline(always)]
    fn unpack<A: Arch>(arch: A, blocks: &[Self], factors: &Factors, g: usize) -> A::Weights {
        let (half, g_of_half) = (g / 4, g as u32 % 4);
        let lower = arch.right(arch.load(&blocks[0].q[half][g % 2]), 4 * (g_of_half / 2), 15);
        let upper = arch.load(&blocks[0].upper[half]);
        let upper = if g_of_half < 3 { arch.left(upper, 4 - 2 * g_of_half, 0x30) } else { arch.right(upper, 2, 0x30) };
        arch.scaled(arch.or(lower, upper), &factors.halves, g)
    }
}
