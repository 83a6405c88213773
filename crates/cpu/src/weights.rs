//! Weight slots: filled from a file's bytes, row by row, and replaceable under compiled plans.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{BlockQ4_0, BlockQ8_0};
use lantern_graph::{DType, Error, Result, WeightSpec};

use crate::memory::{Account, Held, filled};
use crate::{Mode, f16};

/// Rows of a weight, contiguous, in the layout they are multiplied in.
#[derive(Clone)]
pub(crate) enum Rows {
    F32(Vec<f32>),
    /// Bits of halves; widened in small pieces as they are used.
    F16(Vec<u16>),
    Q8_0(Vec<BlockQ8_0>),
    Q4_0(Vec<BlockQ4_0>),
}

/// # Safety
/// Every sequence of bytes is a value of the type, and it has no padding.
unsafe trait FileBlock: GgmlType {}
// SAFETY: an f16 and 32 i8, `repr(C)`, 34 bytes.
unsafe impl FileBlock for BlockQ8_0 {}
// SAFETY: an f16 and 16 u8, `repr(C)`, 18 bytes.
unsafe impl FileBlock for BlockQ4_0 {}

/// candle keeps the blocks' fields to itself; in memory they are what the file has.
fn copy_blocks<T: FileBlock>(bytes: &[u8], blocks: &mut [T]) {
    // SAFETY: `FileBlock` promises that any bytes may be written over the blocks; the slice covers them exactly.
    let target = unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast::<u8>(), size_of_val(blocks)) };
    target.copy_from_slice(bytes);
}

impl Rows {
    fn zeros(spec: &WeightSpec, mode: Mode) -> Result<Rows> {
        let elements = spec.shape.iter().product::<usize>();
        let what = &spec.name;
        Ok(match (mode, spec.dtype) {
            (_, DType::U32) => {
                return Err(Error::new(
                    "cpu.weight",
                    format!("{what} is of u32"),
                    "weights are f32, f16, q8_0 or q4_0",
                ));
            }
            (Mode::Exact, _) | (_, DType::F32) => Rows::F32(filled(what, elements, 0.0)?),
            (_, DType::F16) => Rows::F16(filled(what, elements, 0)?),
            (_, DType::Q8_0) => Rows::Q8_0(filled(what, elements / 32, BlockQ8_0::zeros())?),
            (_, DType::Q4_0) => Rows::Q4_0(filled(what, elements / 32, BlockQ4_0::zeros())?),
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Rows::F32(v) => size_of_val(&v[..]),
            Rows::F16(v) => size_of_val(&v[..]),
            Rows::Q8_0(v) => size_of_val(&v[..]),
            Rows::Q4_0(v) => size_of_val(&v[..]),
        }
    }

    /// Writes file bytes of `dtype` over the elements from `start`: whole blocks, inside the weight.
    fn write(&mut self, dtype: DType, start: usize, bytes: &[u8]) {
        let (block, block_bytes) = dtype.block();
        let blocks = bytes.len() / block_bytes;
        let (from, to) = (start / block, start / block + blocks);
        match self {
            Rows::F32(rows) => dequantize(dtype, bytes, &mut rows[start..start + blocks * block]),
            Rows::F16(rows) => {
                for (half, two) in rows[from..to].iter_mut().zip(bytes.as_chunks().0) {
                    *half = u16::from_le_bytes(*two);
                }
            }
            Rows::Q8_0(rows) => copy_blocks(bytes, &mut rows[from..to]),
            Rows::Q4_0(rows) => copy_blocks(bytes, &mut rows[from..to]),
        }
    }

    /// Elements `start ..` as f32. `start` and the length are whole blocks.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        match self {
            Rows::F32(rows) => out.copy_from_slice(&rows[start..end]),
            Rows::F16(rows) => f16::widen(&rows[start..end], out),
            Rows::Q8_0(rows) => BlockQ8_0::to_float(&rows[start / 32..end / 32], out),
            Rows::Q4_0(rows) => BlockQ4_0::to_float(&rows[start / 32..end / 32], out),
        }
    }
}

/// Where a step reads the rows of a table or a filter.
#[derive(Clone, Copy)]
pub(crate) enum Table<'r> {
    /// From that element on.
    Stored(&'r Rows, usize),
    Floats(&'r [f32]),
}

impl<'r> Table<'r> {
    /// Elements `at ..` as f32; `at` and the length are whole blocks.
    pub fn read(&self, at: usize, out: &mut [f32]) {
        match self {
            Table::Stored(rows, start) => rows.read(start + at, out),
            Table::Floats(values) => out.copy_from_slice(&values[at..at + out.len()]),
        }
    }

    /// All of it where it is f32 already.
    pub fn floats(&self) -> Option<&'r [f32]> {
        match self {
            Table::Stored(Rows::F32(rows), start) => Some(&rows[*start..]),
            Table::Stored(..) => None,
            Table::Floats(values) => Some(values),
        }
    }
}

/// File bytes to f32.
fn dequantize(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    fn blocks<T: FileBlock>(bytes: &[u8], out: &mut [f32]) {
        let mut blocks = vec![T::zeros(); out.len() / T::BLCK_SIZE];
        copy_blocks(bytes, &mut blocks);
        T::to_float(&blocks, out);
    }
    match dtype {
        DType::F32 | DType::U32 => {
            for (value, four) in out.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*four);
            }
        }
        DType::F16 => {
            for (value, two) in out.iter_mut().zip(bytes.as_chunks().0) {
                *value = f16::to_f32(u16::from_le_bytes(*two));
            }
        }
        DType::Q8_0 => blocks::<BlockQ8_0>(bytes, out),
        DType::Q4_0 => blocks::<BlockQ4_0>(bytes, out),
    }
}

struct Slot {
    spec: WeightSpec,
    /// A run holds the rows it started with; rows written meanwhile are seen by the next run.
    rows: RefCell<Rc<Rows>>,
}

/// Weights by name, in an executor's layout. Starts as zeros.
pub struct Weights {
    slots: Vec<Slot>,
    _held: Held,
}

impl Weights {
    pub(crate) fn allocate(specs: &[WeightSpec], mode: Mode, memory: &Account) -> Result<Weights> {
        let mut slots: Vec<Slot> = Vec::with_capacity(specs.len());
        let mut bytes = 0;
        for spec in specs {
            if slots.iter().any(|slot| slot.spec.name == spec.name) {
                return Err(weight_error(format!("{} is given twice", spec.name), "name each weight once"));
            }
            let rows = Rows::zeros(spec, mode)?;
            bytes += rows.bytes() as u64;
            slots.push(Slot { spec: spec.clone(), rows: RefCell::new(Rc::new(rows)) });
        }
        Ok(Weights { slots, _held: memory.hold(bytes) })
    }

    pub(crate) fn write_rows(&self, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        let Some(slot) = self.slots.iter().find(|slot| slot.spec.name == name) else {
            return Err(weight_error(format!("there is no weight {name}"), "allocate it first"));
        };
        let spec = &slot.spec;
        let count = bytes.len() / spec.row_bytes();
        let inside = first_row.checked_add(count).is_some_and(|end| end <= spec.rows());
        if !bytes.len().is_multiple_of(spec.row_bytes()) || !inside {
            return Err(weight_error(
                format!(
                    "{} bytes from row {first_row} into {name}, which has {} rows of {} bytes",
                    bytes.len(),
                    spec.rows(),
                    spec.row_bytes()
                ),
                "write whole rows inside the weight",
            ));
        }
        Rc::make_mut(&mut slot.rows.borrow_mut()).write(spec.dtype, first_row * spec.columns(), bytes);
        Ok(())
    }

    /// Where the weight a graph asks for stands.
    pub(crate) fn find(&self, wanted: &WeightSpec) -> Result<usize> {
        let Some(index) = self.slots.iter().position(|slot| slot.spec.name == wanted.name) else {
            return Err(weight_error(
                format!("the graph needs {}, which was not loaded", wanted.name),
                "load every weight of the graph",
            ));
        };
        let found = &self.slots[index].spec;
        if found != wanted {
            return Err(weight_error(
                format!(
                    "{} is {} {:?}, the graph wants {} {:?}",
                    wanted.name,
                    found.dtype.name(),
                    found.shape,
                    wanted.dtype.name(),
                    wanted.shape
                ),
                "build the graph for the file that was loaded",
            ));
        }
        Ok(index)
    }

    /// The rows of those slots as they are now.
    pub(crate) fn of(&self, slots: &[Option<usize>]) -> Vec<Option<Rc<Rows>>> {
        slots.iter().map(|slot| slot.map(|slot| self.slots[slot].rows.borrow().clone())).collect()
    }
}

fn weight_error(cause: String, remedy: &str) -> Error {
    Error::new("cpu.weight", cause, remedy)
}
