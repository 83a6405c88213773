//! Pictures in and out: what lies between a picture's bytes and a tensor's numbers, said once for every executor.
//!
//! A picture is bytes, `[height, width, 4]`: red, green, blue and alpha, in sRGB's own curve, colours not multiplied by alpha.
//! A tensor is f32, `[1, height, width, channels]`. A [`FrameSpec`] leads from either to the other, in these steps.
//!
//! From a picture to a tensor:
//! 1. the part that `crop` names is taken;
//! 2. a byte is divided by 255, and a colour is brought to the tensor's `transfer`;
//! 3. alpha: dropped; or the colours are laid over another, `colour · alpha + other · (1 − alpha)`; or kept, and the colours are
//!    multiplied by it;
//! 4. each pixel of the result is the mean of those under `filter`;
//! 5. kept alpha: the colours are divided by it again (0 where it is 0);
//! 6. `mirror` turns left and right round;
//! 7. a colour `v` becomes `range[0] + v · (range[1] − range[0])`. Alpha stays between 0 and 1.
//!
//! From a tensor to a picture: the part is taken; step 7 backwards; alpha, of four channels the last, is brought between 0 and 1
//! and the colours are multiplied by it; the filter; divided by alpha again; a colour is brought between 0 and 1, then to sRGB's
//! curve; a byte is `⌊255 v + ½⌋`; the mirror. One channel is shown as grey, and fewer than four as opaque.
//!
//! Linear numbers are thus averaged as light is, and others as models were trained on: as they stand in the file.

use std::ops::Range;

use crate::{Error, Executor, Result, Session};

/// The longest side, so that a filter's weights are whole numbers of 31 bits.
pub const MOST_SIDE: usize = 32_767;

/// How many times smaller a side may become at once: every pixel looks at all that is under it.
pub const MOST_SHRINK: usize = 64;

/// Whole pixels, from the upper left corner. It begins inside of what is read; past the lower and the right edge the last row
/// and column go on, as padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crop {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// Which pixels a pixel of the result is the mean of, and how much each counts. Centres lie at half pixels; what is outside of the
/// crop counts nothing; where the size stays, pixels stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// As much as the pixel of the result covers of each.
    Area,
    /// Less with its distance from the centre, down to nothing a pixel away: of the coarser of the two, so that shrinking leaves
    /// no pixel out.
    Bilinear,
}

/// What the tensor's colours are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// As bytes are, over 255.
    Srgb,
    /// Light: sRGB's curve (IEC 61966-2-1) taken off.
    Linear,
}

/// What becomes of a picture's alpha in a tensor. On the way back the tensor's channels say it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Alpha {
    /// Three channels: the colours as they stand.
    Drop,
    /// Three channels: over this colour, of 0 to 1 in the tensor's transfer.
    Over([f32; 3]),
    /// Four channels.
    Keep,
}

/// The way from a picture to a tensor, or from a tensor to a picture. Sizes are `[height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameSpec {
    /// Of what is read.
    pub from: [usize; 2],
    pub crop: Crop,
    /// Of what comes out.
    pub size: [usize; 2],
    pub mirror: bool,
    pub filter: Filter,
    /// The tensor's numbers for no light and for all of it.
    pub range: [f32; 2],
    pub transfer: Transfer,
    pub alpha: Alpha,
}

impl FrameSpec {
    /// All of it, as it is: numbers of 0 to 1 in sRGB's curve, alpha dropped.
    pub fn new(from: [usize; 2]) -> FrameSpec {
        let [height, width] = from;
        FrameSpec {
            from,
            crop: Crop { top: 0, left: 0, height, width },
            size: from,
            mirror: false,
            filter: Filter::Bilinear,
            range: [0.0, 1.0],
            transfer: Transfer::Srgb,
            alpha: Alpha::Drop,
        }
    }

    /// The upper left part of that size, as it is; larger than what is read, the edge goes on.
    pub fn part(from: [usize; 2], [height, width]: [usize; 2]) -> FrameSpec {
        FrameSpec { crop: Crop { top: 0, left: 0, height, width }, size: [height, width], ..FrameSpec::new(from) }
    }

    /// Of a tensor that a picture becomes.
    pub fn channels(&self) -> usize {
        if self.alpha == Alpha::Keep { 4 } else { 3 }
    }

    /// The row (0) or column (1) that a place of the crop shows.
    pub fn place(&self, axis: usize, in_crop: usize) -> usize {
        let start = [self.crop.top, self.crop.left][axis];
        (start + in_crop).min(self.from[axis] - 1)
    }

    /// Height and width of the crop.
    pub fn cropped(&self) -> [usize; 2] {
        [self.crop.height, self.crop.width]
    }

    /// # Errors
    /// `frame.spec`, with the numbers, for sizes and ranges that lead nowhere.
    pub fn check(&self) -> Result<()> {
        let wrong = |cause: String| {
            Err(Error::new(
                "frame.spec",
                cause,
                "name sizes, a part inside of the picture and a range that it can have",
            ))
        };
        let Crop { top, left, height, width } = self.crop;
        let sides = [self.from, self.size, [height, width]].concat();
        if let Some(side) = sides.iter().find(|side| **side == 0 || **side > MOST_SIDE) {
            return wrong(format!("a side of {side} pixels; 1 to {MOST_SIDE} can be had"));
        }
        if top >= self.from[0] || left >= self.from[1] || top + height > MOST_SIDE || left + width > MOST_SIDE {
            let [rows, columns] = self.from;
            return wrong(format!(
                "a part of {width} × {height} pixels from column {left} and row {top} of {columns} × {rows}"
            ));
        }
        for (from, to) in self.cropped().into_iter().zip(self.size) {
            if from > to * MOST_SHRINK {
                return wrong(format!("{from} pixels become {to}: at most {MOST_SHRINK} become one at once"));
            }
        }
        let [black, white] = self.range;
        if !black.is_finite() || !white.is_finite() || black == white {
            return wrong(format!("a range from {black} to {white}"));
        }
        match self.alpha {
            Alpha::Over(colour) if !colour.iter().all(|v| v.is_finite()) => wrong(format!("{colour:?} as a colour")),
            _ => Ok(()),
        }
    }

    /// For a picture that becomes an input of that shape.
    ///
    /// # Errors
    /// `frame.spec`; `frame.unfit` for a picture or a tensor of another size.
    pub fn check_in(&self, picture: [usize; 2], tensor: &[usize]) -> Result<()> {
        self.check()?;
        self.check_from("picture", picture)?;
        let [height, width] = self.size;
        let shape = [1, height, width, self.channels()];
        if tensor != shape {
            return Err(unfit(format!("the picture becomes {shape:?}, and the tensor is {tensor:?}")));
        }
        Ok(())
    }

    /// For a tensor of that shape that becomes a picture. Gives its channels.
    ///
    /// # Errors
    /// `frame.spec`; `frame.unfit` for a tensor that is no picture, or one of another size.
    pub fn check_out(&self, tensor: &[usize]) -> Result<usize> {
        self.check()?;
        let [1, height, width, channels @ (1 | 3 | 4)] = *tensor else {
            return Err(unfit(format!("a tensor of {tensor:?} is no picture, [1, height, width, 1, 3 or 4]")));
        };
        self.check_from("tensor", [height, width])?;
        Ok(channels)
    }

    fn check_from(&self, what: &str, size: [usize; 2]) -> Result<()> {
        let ([height, width], [rows, columns]) = (size, self.from);
        if size == self.from {
            return Ok(());
        }
        Err(unfit(format!("the {what} has {width} × {height} pixels, and {columns} × {rows} are read")))
    }
}

fn unfit(cause: String) -> Error {
    Error::new("frame.unfit", cause, "describe the picture and the tensor that are there")
}

impl Filter {
    /// Which of an axis's `length` pixels count in pixel `i` of `out`: never none.
    pub fn taps(self, i: usize, length: usize, out: usize) -> Range<usize> {
        match self {
            Filter::Area => i * length / out..((i + 1) * length).div_ceil(out),
            Filter::Bilinear => {
                // Of twice the distance in pixels of the result, as in `weight`.
                let (centre, reach) = ((2 * i + 1) * length, 2 * length.max(out));
                let first = centre.checked_sub(reach + out).map_or(0, |before| before / (2 * out) + 1);
                first..(centre + reach - out).div_ceil(2 * out).min(length)
            }
        }
    }

    /// What pixel `j` of `length` counts in pixel `i` of `out`: a whole number, over the sum of them all.
    pub fn weight(self, i: usize, j: usize, length: usize, out: usize) -> usize {
        match self {
            Filter::Area => ((j + 1) * out).min((i + 1) * length).saturating_sub((j * out).max(i * length)),
            Filter::Bilinear => {
                let distance = ((2 * j + 1) * out).abs_diff((2 * i + 1) * length);
                (2 * length.max(out)).saturating_sub(distance)
            }
        }
    }
}

/// An executor that takes pictures in and shows tensors where it computes.
#[allow(async_fn_in_trait, reason = "one thread per engine: nothing here is Send by design")]
pub trait Frames: Executor {
    /// A picture where this executor reads it.
    type Frame: 'static;
    /// Where pictures are painted.
    type Surface: 'static;

    /// A picture of bytes, `[height, width, 4]`.
    ///
    /// # Errors
    /// `frame.unfit` for another number of bytes; the executor's own where there is no room.
    fn frame(&self, size: [usize; 2], rgba: &[u8]) -> Result<Self::Frame>;

    /// Height and width.
    fn frame_size(&self, frame: &Self::Frame) -> [usize; 2];

    /// One that nothing shows; its bytes can be read.
    fn surface(&self) -> Self::Surface;

    /// Writes an input of the plan. It stands in for the input's value in all runs until a run is given one.
    ///
    /// # Errors
    /// `frame.spec`; `frame.unfit`; `graph.input` where there is no such input; the executor's own.
    async fn write_frame(
        &self,
        session: &mut Self::Session,
        plan: &PlanOf<Self>,
        input: &str,
        frame: &Self::Frame,
        spec: &FrameSpec,
    ) -> Result<()>;

    /// Paints an output of the plan's last run, which is read as [`Session::read`] reads it. The surface becomes as large as
    /// `spec.size`.
    ///
    /// # Errors
    /// `frame.spec`; `frame.unfit`; `graph.output`; the executor's own.
    async fn paint(
        &self,
        session: &mut Self::Session,
        plan: &PlanOf<Self>,
        output: &str,
        spec: &FrameSpec,
        surface: &mut Self::Surface,
    ) -> Result<()>;

    /// The sum over all pixels and three colours of the squared difference between bytes: of what was painted last, and a
    /// picture of that size. Whole, and the same on every executor.
    ///
    /// # Errors
    /// `frame.unfit` for different sizes; the executor's own.
    async fn difference(&self, surface: &Self::Surface, frame: &Self::Frame) -> Result<u64>;

    /// Height and width of what was painted last, and its bytes, `[height, width, 4]`.
    ///
    /// # Errors
    /// The executor's own.
    async fn read_surface(&self, surface: &Self::Surface) -> Result<([usize; 2], Vec<u8>)>;
}

/// The plans of an executor's sessions.
pub type PlanOf<E> = <<E as Executor>::Session as Session>::Plan;

#[cfg(test)]
mod tests {
    use super::*;

    /// Both filters by their definitions, in fractions of a pixel.
    fn defined(filter: Filter, i: usize, j: usize, length: usize, out: usize) -> f64 {
        let scale = length as f64 / out as f64;
        match filter {
            Filter::Area => {
                let (start, end) = (i as f64 * scale, (i + 1) as f64 * scale);
                (end.min((j + 1) as f64) - start.max(j as f64)).max(0.0)
            }
            Filter::Bilinear => {
                let distance = (j as f64 + 0.5 - (i as f64 + 0.5) * scale).abs();
                (1.0 - distance / scale.max(1.0)).max(0.0)
            }
        }
    }

    #[test]
    fn weights_are_those_of_the_definition_and_no_pixel_that_counts_is_left_out() {
        for filter in [Filter::Area, Filter::Bilinear] {
            for (length, out) in [(1, 1), (7, 7), (7, 3), (3, 7), (10, 9), (64, 1), (1, 5), (31, 30), (100, 13)] {
                for i in 0..out {
                    let taps = filter.taps(i, length, out);
                    assert!(!taps.is_empty() && taps.end <= length, "{filter:?} {length} to {out}, {i}: {taps:?}");
                    let total: usize = taps.clone().map(|j| filter.weight(i, j, length, out)).sum();
                    let whole: f64 = (0..length).map(|j| defined(filter, i, j, length, out)).sum();
                    for j in 0..length {
                        let counts = if taps.contains(&j) { filter.weight(i, j, length, out) } else { 0 };
                        let share = counts as f64 / total as f64;
                        let right = defined(filter, i, j, length, out) / whole;
                        assert!(
                            (share - right).abs() < 1e-9,
                            "{filter:?} {length} to {out}: {j} in {i} is {share}, not {right}"
                        );
                        assert_eq!(taps.contains(&j), counts > 0, "{filter:?} {length} to {out}: {j} in {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_with_the_numbers() {
        let spec = FrameSpec::new([30, 40]);
        assert_eq!(spec.check(), Ok(()));
        assert_eq!(spec.check_in([30, 40], &[1, 30, 40, 3]), Ok(()));
        let refused = |spec: FrameSpec, number: &str| {
            let error = spec.check().unwrap_err();
            assert!(error.code == "frame.spec" && error.cause.contains(number), "{error}");
        };
        refused(FrameSpec::new([0, 40]), "0 pixels");
        refused(FrameSpec::new([40_000, 40]), "40000");
        refused(FrameSpec { crop: Crop { left: 40, ..spec.crop }, ..spec.clone() }, "column 40");
        refused(FrameSpec { range: [0.5, 0.5], ..spec.clone() }, "0.5");
        refused(FrameSpec { range: [0.0, f32::NAN], ..spec.clone() }, "NaN");
        refused(FrameSpec { alpha: Alpha::Over([0.0, f32::INFINITY, 0.0]), ..spec.clone() }, "inf");
        let large = FrameSpec::new([650, 650]);
        refused(FrameSpec { size: [10, 650], ..large.clone() }, "650 pixels become 10");
        assert_eq!(FrameSpec { size: [11, 650], ..large }.check(), Ok(()));
        let unfit = |checked: Result<()>| assert_eq!(checked.unwrap_err().code, "frame.unfit");
        unfit(spec.check_in([40, 30], &[1, 30, 40, 3]));
        unfit(spec.check_in([30, 40], &[1, 30, 40, 4]));
        unfit(spec.check_out(&[1, 30, 40, 2]).map(drop));
        unfit(spec.check_out(&[30, 40, 3]).map(drop));
        unfit(spec.check_out(&[1, 40, 30, 3]).map(drop));
        assert_eq!([1, 3, 4].map(|channels| spec.check_out(&[1, 30, 40, channels])), [Ok(1), Ok(3), Ok(4)]);
    }
}
