//! GGUF metadata: ordered keys and typed values, and the questions loaders ask of them.

use crate::ByteSource;
use crate::cursor::Cursor;
use crate::stranger::shorten;
use lantern_graph::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// Elements of all arrays. Gemma's vocabulary, the largest about, has 1.3 million; a `Value` is 32 bytes,
/// so a hostile file can make us hold 128 MiB at most.
const MAX_VALUES: u64 = 4 << 20;

/// Models have a few dozen keys.
const MAX_ENTRIES: u64 = 1 << 16;

/// A metadata value. GGUF's arrays hold one type of element and no arrays (llama.cpp reads no nested ones either).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    /// Bytes that are not UTF-8 have become U+FFFD.
    String(String),
    Array(Vec<Value>),
    U64(u64),
    I64(i64),
    F64(f64),
}

const ARRAY: u32 = 9;

impl Value {
    /// The type's number in the file.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Value::U8(_) => 0,
            Value::I8(_) => 1,
            Value::U16(_) => 2,
            Value::I16(_) => 3,
            Value::U32(_) => 4,
            Value::I32(_) => 5,
            Value::F32(_) => 6,
            Value::Bool(_) => 7,
            Value::String(_) => 8,
            Value::Array(_) => ARRAY,
            Value::U64(_) => 10,
            Value::I64(_) => 11,
            Value::F64(_) => 12,
        }
    }

    fn type_name(&self) -> &'static str {
        const NAMES: [&str; 13] =
            ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];
        NAMES[self.code() as usize]
    }

    /// For a message: the type, and the number where it is one.
    fn shown(&self) -> String {
        match self {
            Value::String(_) | Value::Array(_) => self.type_name().to_owned(),
            number => format!("{} ({number:?})", self.type_name()),
        }
    }

    /// A whole number, however it is written: converters disagree about which type a key has. Any integer type, a float
    /// without a fraction, true and false as 1 and 0; a list of one is its element.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::I8(v) => Some((*v).into()),
            Value::I16(v) => Some((*v).into()),
            Value::I32(v) => Some((*v).into()),
            Value::I64(v) => Some(*v),
            Value::Array(_) => self.only()?.as_i64(),
            _ => i64::try_from(self.as_u64()?).ok(),
        }
    }

    /// As [`as_i64`](Self::as_i64).
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::U8(v) => Some((*v).into()),
            Value::U16(v) => Some((*v).into()),
            Value::U32(v) => Some((*v).into()),
            Value::U64(v) => Some(*v),
            Value::Bool(v) => Some((*v).into()),
            Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => u64::try_from(self.as_i64()?).ok(),
            Value::F32(_) | Value::F64(_) => {
                let number = self.as_f64()?;
                // Up to 2⁵³ an f64 is a whole number exactly.
                (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
            }
            Value::Array(_) => self.only()?.as_u64(),
            Value::String(_) => None,
        }
    }

    /// As [`as_i64`](Self::as_i64).
    pub fn as_u32(&self) -> Option<u32> {
        u32::try_from(self.as_u64()?).ok()
    }

    /// From any type of number; a list of one is its element.
    pub fn as_f32(&self) -> Option<f32> {
        match self {
            Value::F32(v) => Some(*v),
            _ => self.as_f64().map(|number| number as f32),
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Value::F32(v) => Some((*v).into()),
            Value::F64(v) => Some(*v),
            Value::Array(_) => self.only()?.as_f64(),
            Value::String(_) => None,
            Value::U64(v) => Some(*v as f64),
            _ => self.as_i64().map(|number| number as f64),
        }
    }

    /// Also from 0 and 1; a list of one is its element.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A list of one is its element.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(v) => Some(v),
            _ => self.only()?.as_str(),
        }
    }

    /// What is written as a list of one.
    fn only(&self) -> Option<&Value> {
        self.as_array().and_then(|all| if let [one] = all { Some(one) } else { None })
    }

    /// A list's elements; a single value is a list of one.
    pub fn as_list(&self) -> &[Value] {
        self.as_array().unwrap_or(std::slice::from_ref(self))
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(v) = self { Some(v) } else { None }
    }
}

/// A file's keys and values, in the file's order.
///
/// Each question comes twice: `u32(key)` where a model cannot do without (`gguf.metadata` when it is missing), and
/// `find_u32(key)` where it can. A value of another type is `gguf.metadata` for both. Where such a value may be passed over,
/// [`optional`](Metadata::optional) is asked.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    index: HashMap<String, usize>,
    /// Where each entry lies in the file it was read from.
    places: Vec<Range<u64>>,
}

impl Metadata {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.index.get(key).map(|i| &self.entries[*i].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys, and where in the file their entries lie: none where nothing was read from a file.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, Range<u64>)> {
        self.entries.iter().zip(&self.places).map(|((key, _), place)| (key.as_str(), place.clone()))
    }

    /// `gguf.metadata` when the key is there already.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Result<()> {
        let key = key.into();
        if self.index.insert(key.clone(), self.entries.len()).is_some() {
            return Err(damaged(format!("the key {} is there twice", shorten(&key))));
        }
        self.entries.push((key, value));
        Ok(())
    }

    /// In place of what is there.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.index.get(key) {
            Some(at) => self.entries[*at].1 = value,
            None => {
                self.index.insert(key.to_owned(), self.entries.len());
                self.entries.push((key.to_owned(), value));
            }
        }
    }

    pub fn str(&self, key: &str) -> Result<&str> {
        self.find_str(key)?.ok_or_else(|| missing(key))
    }

    pub fn find_str(&self, key: &str) -> Result<Option<&str>> {
        self.find(key, "a string", Value::as_str)
    }

    /// As [`Value::as_u32`].
    pub fn u32(&self, key: &str) -> Result<u32> {
        self.find_u32(key)?.ok_or_else(|| missing(key))
    }

    pub fn find_u32(&self, key: &str) -> Result<Option<u32>> {
        self.find(key, "a u32", Value::as_u32)
    }

    /// As [`Value::as_f32`].
    pub fn f32(&self, key: &str) -> Result<f32> {
        self.find_f32(key)?.ok_or_else(|| missing(key))
    }

    pub fn find_f32(&self, key: &str) -> Result<Option<f32>> {
        self.find(key, "an f32", Value::as_f32)
    }

    pub fn find_bool(&self, key: &str) -> Result<Option<bool>> {
        self.find(key, "a bool", Value::as_bool)
    }

    pub fn array(&self, key: &str) -> Result<&[Value]> {
        self.find_array(key)?.ok_or_else(|| missing(key))
    }

    pub fn find_array(&self, key: &str) -> Result<Option<&[Value]>> {
        self.find(key, "an array", Value::as_array)
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<Vec<&str>> {
        self.elements(key, self.array(key)?, "strings", Value::as_str)
    }

    /// An array of f32, or `None` when there is none.
    pub fn find_f32s(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.find_array(key)?.map(|all| self.elements(key, all, "f32", Value::as_f32)).transpose()
    }

    /// An entry that a model can do without. One that cannot be used counts as absent, and `notices` is told so. `what`
    /// is needed: "a number".
    pub fn optional<'a, T>(
        &'a self,
        key: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        notices: &mut Vec<Error>,
    ) -> Option<T> {
        let value = self.get(key)?;
        let found = read(value);
        if found.is_none() {
            notices.push(passed_over(key, &format!("it holds {}, and {what} is needed", value.shown())));
        }
        found
    }

    fn find<'a, T>(&'a self, key: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(found) => Ok(Some(found)),
            None => Err(damaged(format!("the key {} holds {}, and {what} is needed", shorten(key), value.shown()))),
        }
    }

    fn elements<'a, T>(
        &self,
        key: &str,
        values: &'a [Value],
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Vec<T>> {
        let bad =
            |i: usize| damaged(format!("element {i} of {key} is {}, and {what} are needed", values[i].type_name()));
        values.iter().enumerate().map(|(i, value)| read(value).ok_or_else(|| bad(i))).collect()
    }

    /// `count` entries from the header.
    pub(crate) async fn read<S: ByteSource>(cursor: &mut Cursor<'_, S>, count: u64) -> Result<Self> {
        // The shortest entry: an empty key, a type, one byte.
        cursor.check_count(count, 13, "the metadata")?;
        if count > MAX_ENTRIES {
            return Err(damaged(format!("it claims {count} keys, more than {MAX_ENTRIES}")));
        }
        let mut room = MAX_VALUES;
        let mut metadata = Self::default();
        for _ in 0..count {
            let start = cursor.position();
            let key = readable(cursor.string("a metadata key").await?);
            let code = cursor.u32("a metadata type").await?;
            let value = if code == ARRAY {
                let code = cursor.u32("a metadata type").await?;
                let count = cursor.u64("an array's length").await?;
                cursor.check_count(count, min_bytes(code, &key)?, "an array")?;
                spend(&mut room, count)?;
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(read_scalar(cursor, code, &key).await?);
                }
                values.shrink_to_fit();
                Value::Array(values)
            } else {
                read_scalar(cursor, code, &key).await?
            };
            metadata.insert(key, value)?;
            metadata.places.push(start..cursor.position());
        }
        Ok(metadata)
    }
}

fn spend(room: &mut u64, count: u64) -> Result<()> {
    *room = room.checked_sub(count).ok_or_else(|| damaged(format!("its arrays hold more than {MAX_VALUES} values")))?;
    Ok(())
}

/// The least an element of this type takes in the file.
fn min_bytes(code: u32, key: &str) -> Result<u64> {
    match code {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        8 | 10..=12 => Ok(8),
        ARRAY => Err(damaged(format!("the key {} holds arrays in an array", shorten(key)))),
        other => Err(damaged(format!("the key {} has the unknown type {other}", shorten(key)))),
    }
}

async fn read_scalar<S: ByteSource>(cursor: &mut Cursor<'_, S>, code: u32, key: &str) -> Result<Value> {
    const WHAT: &str = "a metadata value";
    Ok(match code {
        0 => Value::U8(u8::from_le_bytes(cursor.array(WHAT).await?)),
        1 => Value::I8(i8::from_le_bytes(cursor.array(WHAT).await?)),
        2 => Value::U16(u16::from_le_bytes(cursor.array(WHAT).await?)),
        3 => Value::I16(i16::from_le_bytes(cursor.array(WHAT).await?)),
        4 => Value::U32(u32::from_le_bytes(cursor.array(WHAT).await?)),
        5 => Value::I32(i32::from_le_bytes(cursor.array(WHAT).await?)),
        6 => Value::F32(f32::from_le_bytes(cursor.array(WHAT).await?)),
        7 => Value::Bool(cursor.array::<1>(WHAT).await? != [0]),
        8 => Value::String(String::from_utf8_lossy(cursor.string(WHAT).await?).into_owned()),
        10 => Value::U64(u64::from_le_bytes(cursor.array(WHAT).await?)),
        11 => Value::I64(i64::from_le_bytes(cursor.array(WHAT).await?)),
        12 => Value::F64(f64::from_le_bytes(cursor.array(WHAT).await?)),
        other => {
            min_bytes(other, key)?;
            return Err(damaged(format!("the key {} has the unknown type {other}", shorten(key))));
        }
    })
}

/// A name as text. One that is not UTF-8, which llama.cpp takes, has its other bytes written out.
pub(crate) fn readable(name: &[u8]) -> String {
    std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}

/// What a visitor should know of an entry that was not used. Nothing fails by it.
pub fn passed_over(key: &str, why: &str) -> Error {
    Error::new(
        "gguf.skipped",
        format!("what cannot be used of the file's entry {} is passed over: {why}", shorten(key)),
        "nothing needs to be done; if the answers look wrong, use a file by a current converter",
    )
}

fn missing(key: &str) -> Error {
    Error::new(
        "gguf.metadata",
        format!("the file's metadata lacks {key}"),
        "convert the model again with a current converter, or use another file",
    )
}

fn damaged(what: String) -> Error {
    Error::new(
        "gguf.metadata",
        format!("the file's metadata cannot be used: {what}"),
        "convert the model again with a current converter, or get the file again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        let mut m = Metadata::default();
        m.insert("n", Value::I32(7)).unwrap();
        m.insert("neg", Value::I8(-1)).unwrap();
        m.insert("big", Value::U64(1 << 40)).unwrap();
        m.insert("eps", Value::F64(0.5)).unwrap();
        m.insert("mixed", Value::Array(vec![Value::String("a".into()), Value::U8(1)])).unwrap();
        m
    }

    #[test]
    fn numbers_convert_where_they_fit_and_say_so_where_not() {
        let m = sample();
        assert_eq!((m.u32("n").unwrap(), m.f32("eps").unwrap()), (7, 0.5));
        assert_eq!(m.find_u32("absent").unwrap(), None);
        for key in ["neg", "big", "eps", "mixed"] {
            let error = m.u32(key).unwrap_err();
            assert!(error.code == "gguf.metadata" && error.cause.contains(key), "{error}");
        }
        let error = m.str("absent").unwrap_err();
        assert!(error.code == "gguf.metadata" && error.cause.contains("lacks absent"), "{error}");
        assert!(m.strings("mixed").unwrap_err().cause.contains("element 1"));
    }

    #[test]
    fn a_key_may_be_there_once() {
        assert!(sample().insert("n", Value::Bool(true)).unwrap_err().cause.contains("twice"));
    }
}
