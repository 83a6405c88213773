//! Weight slots: filled from a file's bytes, row by row, and replaceable under compiled plans.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
};
use lantern_graph::contract::WeightTable;
use lantern_graph::{DType, Result, WeightSpec, f16};

use crate::Mode;
use crate::crew::Crew;
use crate::kernels::product::rows_by_rows;
use crate::kernels::quantized;
use crate::kernels::quantized::activations::Activations;
use crate::kernels::quantized::arch::Chosen;
use crate::kernels::quantized::types::{self, Packed};
use crate::memory::{Account, Entry, filled};

/// Rows of a weight, contiguous, in the layout they are multiplied in.
#[derive(Clone)]
pub(crate) enum Rows {
    F32(Vec<f32>),
    /// Bits of halves.
    F16(Vec<u16>),
    /// Likewise of bfloat16.
    Bf16(Vec<u16>),
    Blocks(Box<dyn Blocks>),
}

/// A file's blocks of one type. Elements are counted from the weight's first; they and lengths are whole blocks.
pub(crate) trait Blocks: Send + Sync {
    fn bytes(&self) -> usize;
    fn bytes_at(&self, start: usize, len: usize) -> &[u8];
    /// Writes file bytes over the elements from `start`.
    fn write(&mut self, start: usize, bytes: &[u8]);
    fn read(&self, start: usize, out: &mut [f32]);
    /// `x [m, k] · wᵀ` → `[m, n]` for the n rows of k from `start`, with activations in integers.
    fn linear(
        &self,
        x: &[f32],
        start: usize,
        sizes: (usize, usize, usize),
        out: &mut [f32],
        space: &mut Activations,
    ) -> Result<()>;
    fn boxed(&self) -> Box<dyn Blocks>;
}

impl Clone for Box<dyn Blocks> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}

impl<T: FileBlock + 'static> Blocks for Vec<T> {
    fn bytes(&self) -> usize {
        size_of_val(&self[..])
    }

    fn bytes_at(&self, start: usize, len: usize) -> &[u8] {
        let blocks = &self[start / T::BLCK_SIZE..(start + len) / T::BLCK_SIZE];
        // SAFETY: `FileBlock` promises that blocks have no padding: all of their bytes are there to be read.
        unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }
    }

    fn write(&mut self, start: usize, bytes: &[u8]) {
        let first = start / T::BLCK_SIZE;
        copy_blocks(bytes, &mut self[first..first + bytes.len() / size_of::<T>()]);
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        T::to_float(&self[start / T::BLCK_SIZE..(start + out.len()) / T::BLCK_SIZE], out);
    }

    fn linear(
        &self,
        x: &[f32],
        start: usize,
        (m, k, n): (usize, usize, usize),
        out: &mut [f32],
        space: &mut Activations,
    ) -> Result<()> {
        let w = &self[start / T::BLCK_SIZE..(start + n * k) / T::BLCK_SIZE];
        if T::CANDLE {
            return rows_by_rows((m, k, n), x, w, out);
        }
        quantized::linear((m, k, n), Chosen::get(), x, packed(w), out, space);
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Blocks> {
        Box::new(self.clone())
    }
}

/// # Safety
/// Every sequence of bytes is a value of the type, and it has no padding.
unsafe trait FileBlock: GgmlType {
    /// As large as the type, and of the same bytes.
    type Packed: Packed;
    /// candle's product of one row is the faster one on this processor.
    const CANDLE: bool;
}

macro_rules! file_blocks {
    ($($dtype:ident: $block:ident as $packed:ident, candle: $candle:expr;)*) => {
        $(
            // SAFETY: f16s and arrays of u8 or i8, `repr(C)`; no padding, since it is as large as in a file.
            unsafe impl FileBlock for $block {
                type Packed = types::$packed;
                const CANDLE: bool = $candle;
            }
            const _: () = {
                let (elements, bytes) = DType::$dtype.block();
                assert!($block::BLCK_SIZE == elements && size_of::<$block>() == bytes);
                assert!(size_of::<types::$packed>() == bytes);
            };
        )*

        /// `None` for types that do not come in blocks.
        fn zero_blocks(what: &str, dtype: DType, elements: usize) -> Result<Option<Box<dyn Blocks>>> {
            Ok(Some(match dtype {
                $(DType::$dtype => Box::new(filled(what, elements / $block::BLCK_SIZE, $block::zeros())?),)*
                _ => return Ok(None),
            }))
        }
    };
}

const NEON: bool = cfg!(target_arch = "aarch64");
const NATIVE: bool = !cfg!(target_arch = "wasm32");

file_blocks! {
    Q8_0: BlockQ8_0 as Q8_0, candle: NEON;
    Q4_0: BlockQ4_0 as Q4_0, candle: NEON;
    Q4_1: BlockQ4_1 as Q4_1, candle: false;
    Q5_0: BlockQ5_0 as Q5_0, candle: false;
    Q5_1: BlockQ5_1 as Q5_1, candle: false;
    Q2K: BlockQ2K as Q2K, candle: NEON;
    Q3K: BlockQ3K as Q3K, candle: NATIVE;
    Q4K: BlockQ4K as Q4K, candle: NEON;
    Q5K: BlockQ5K as Q5K, candle: NEON;
    Q6K: BlockQ6K as Q6K, candle: NEON;
}

/// candle's blocks by their bytes.
fn packed<T: FileBlock>(blocks: &[T]) -> &[T::Packed] {
    // SAFETY: the macro holds both to one size, `FileBlock` promises that there is no padding, and `Packed` that it is made of
    // bytes, which need no alignment and may have any value.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), blocks.len()) }
}

/// candle keeps the blocks' fields to itself; in memory they are what the file has.
fn copy_blocks<T: FileBlock>(bytes: &[u8], blocks: &mut [T]) {
    // SAFETY: `FileBlock` promises that any bytes may be written over the blocks; the slice covers them exactly.
    let target = unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast::<u8>(), size_of_val(blocks)) };
    target.copy_from_slice(bytes);
}

impl Rows {
    pub fn zeros(what: &str, dtype: DType, elements: usize, mode: Mode) -> Result<Rows> {
        Ok(match (mode, dtype) {
            (Mode::Exact, _) | (_, DType::F32) => Rows::F32(filled(what, elements, 0.0)?),
            (_, DType::F16) => Rows::F16(filled(what, elements, 0)?),
            (_, DType::BF16) => Rows::Bf16(filled(what, elements, 0)?),
            (_, dtype) => match zero_blocks(what, dtype, elements)? {
                Some(blocks) => Rows::Blocks(blocks),
                None => Rows::F32(filled(what, elements, 0.0)?),
            },
        })
    }

    /// What `zeros` will hold.
    fn bytes_of(spec: &WeightSpec, mode: Mode) -> u64 {
        let elements = spec.shape.iter().map(|side| *side as u64).product::<u64>();
        let (block, bytes) = if mode == Mode::Exact { (1, 4) } else { spec.dtype.block() };
        (elements / block as u64).saturating_mul(bytes as u64)
    }

    fn bytes(&self) -> usize {
        match self {
            Rows::F32(v) => size_of_val(&v[..]),
            Rows::F16(v) | Rows::Bf16(v) => size_of_val(&v[..]),
            Rows::Blocks(blocks) => blocks.bytes(),
        }
    }

    /// Writes file bytes of `dtype` over the elements from `start`: whole blocks, inside the weight.
    pub fn write(&mut self, dtype: DType, start: usize, bytes: &[u8]) -> Result<()> {
        let (block, block_bytes) = dtype.block();
        let elements = bytes.len() / block_bytes * block;
        match self {
            Rows::F32(rows) => return dequantize(dtype, bytes, &mut rows[start..start + elements]),
            Rows::F16(rows) | Rows::Bf16(rows) => {
                for (half, two) in rows[start..start + elements].iter_mut().zip(bytes.as_chunks().0) {
                    *half = u16::from_le_bytes(*two);
                }
            }
            Rows::Blocks(blocks) => blocks.write(start, bytes),
        }
        Ok(())
    }

    /// Elements `start ..` as they are stored: what `write` takes.
    pub fn bytes_at(&self, start: usize, len: usize) -> &[u8] {
        match self {
            Rows::F32(rows) => bytemuck::cast_slice(&rows[start..start + len]),
            Rows::F16(rows) | Rows::Bf16(rows) => bytemuck::cast_slice(&rows[start..start + len]),
            Rows::Blocks(blocks) => blocks.bytes_at(start, len),
        }
    }

    /// Elements `start ..` as f32. `start` and the length are whole blocks.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        match self {
            Rows::F32(rows) => out.copy_from_slice(&rows[start..end]),
            Rows::F16(rows) => f16::widen(f16::to_f32, &rows[start..end], out),
            Rows::Bf16(rows) => f16::widen(f16::bf16_to_f32, &rows[start..end], out),
            Rows::Blocks(blocks) => blocks.read(start, out),
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
fn dequantize(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    let mut halves = |value: fn(u16) -> f32| {
        for (out, two) in out.iter_mut().zip(bytes.as_chunks().0) {
            *out = value(u16::from_le_bytes(*two));
        }
    };
    match dtype {
        DType::F16 => halves(f16::to_f32),
        DType::BF16 => halves(f16::bf16_to_f32),
        dtype => match zero_blocks("a part of a weight", dtype, out.len())? {
            Some(mut blocks) => {
                blocks.write(0, bytes);
                blocks.read(0, out);
            }
            None => {
                for (value, four) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*four);
                }
            }
        },
    }
    Ok(())
}

/// A run holds the rows it started with; rows written meanwhile are seen by the next run.
type Slot = RefCell<Rc<Rows>>;

/// Weights by name, in an executor's layout. Starts as zeros.
#[derive(Default)]
pub struct Weights {
    table: WeightTable<Slot>,
    /// After the table: what the helpers have of it is of no more use then.
    _shares: Option<FreeShares>,
    account: Account,
    _entry: Option<Entry>,
}

struct FreeShares(Rc<Crew>);

impl Drop for FreeShares {
    fn drop(&mut self) {
        // A helper that fails here fails at the next product, which says so.
        let _ = self.0.free();
    }
}

/// Whether weights of so many bytes more may be had.
pub(crate) fn check(weights: &Account, bytes: u64) -> Result<()> {
    weights.check("cpu.ceiling", "the model", bytes, "choose a smaller model, or a graphics card")
}

impl Weights {
    pub(crate) fn allocate(
        specs: &[WeightSpec],
        mode: Mode,
        weights: &Account,
        crew: Option<Rc<Crew>>,
    ) -> Result<Weights> {
        check(weights, specs.iter().map(|spec| Rows::bytes_of(spec, mode)).sum())?;
        let account = weights.part();
        let mut bytes = 0;
        let table = WeightTable::allocate(specs, |spec| {
            let rows = Rows::zeros(&spec.name, spec.dtype, spec.shape.iter().product(), mode)?;
            bytes += rows.bytes() as u64;
            Ok(RefCell::new(Rc::new(rows)))
        })?;
        Ok(Weights { table, _shares: crew.map(FreeShares), _entry: Some(account.enter(bytes)), account })
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn write_rows(&self, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        let (spec, slot) = self.table.rows(name, first_row, bytes)?;
        Rc::make_mut(&mut slot.borrow_mut()).write(spec.dtype, first_row * spec.columns(), bytes)
    }

    /// Where the weight a graph asks for stands.
    pub(crate) fn find(&self, wanted: &WeightSpec) -> Result<usize> {
        self.table.find(wanted)
    }

    /// The rows of those slots as they are now.
    pub(crate) fn of(&self, slots: &[Option<usize>]) -> Vec<Option<Rc<Rows>>> {
        slots.iter().map(|slot| slot.map(|slot| self.table.at(slot).borrow().clone())).collect()
    }
}
