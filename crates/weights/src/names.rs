//! Name maps: the same weights are called differently by different programs, and which name is which is data.
//!
//! A map is a text of layouts. A layout lists replacements, applied to our name one after the other, wherever they
//! occur; then each of its prefixes in turn stands before the result (without a `prefix` line: none).
//!
//! ```text
//! # a comment
//! [name of the layout]
//! prefix
//! prefix first_stage_model.
//! mid_block.attentions.0. -> mid.attn_1.
//! encoder. ->
//! ```

use crate::stranger::shorten;
use crate::{SafeTensor, Safetensors};
use lantern_graph::{Error, Result, WeightSpec};

/// Of a long list, this many are named.
const NAMED: usize = 20;
pub(crate) const OTHER_MODEL: &str = "the file is for another model: use one of this model";

/// The layouts in which a model's weights are found in files.
#[derive(Debug, Clone)]
pub struct NameMap {
    layouts: Vec<Layout>,
}

#[derive(Debug, Clone)]
struct Layout {
    name: String,
    prefixes: Vec<String>,
    /// Ours, theirs.
    replacements: Vec<(String, String)>,
}

/// Where a model's weights are in a file.
#[derive(Debug, Clone)]
pub struct Chosen<'f> {
    /// The layout they were found under, for the reader.
    pub layout: String,
    /// One for each that was wanted, in that order.
    pub tensors: Vec<&'f SafeTensor>,
}

impl NameMap {
    /// TAESD's encoder: our names are those of its `Sequential`, behind "encoder.".
    pub fn taesd_encoder() -> Result<Self> {
        Self::parse(include_str!("../names/taesd_encoder.txt"))
    }

    /// TAESD's decoder: our names are those of its `Sequential`, behind "decoder.".
    pub fn taesd_decoder() -> Result<Self> {
        Self::parse(include_str!("../names/taesd_decoder.txt"))
    }

    /// Stable Diffusion's autoencoder: our names are those of diffusers' `AutoencoderKL`.
    pub fn autoencoder_kl() -> Result<Self> {
        Self::parse(include_str!("../names/autoencoder_kl.txt"))
    }

    /// `names.map`, with the line, for a text that is not a map.
    pub fn parse(text: &str) -> Result<Self> {
        let mut layouts: Vec<Layout> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            let bad = |why: &str| {
                let cause = format!("line {} of a name map: {why}: {line:?}", i + 1);
                Error::new("names.map", cause, "write [layout], prefix TEXT, or OURS -> THEIRS")
            };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                let name = name.strip_suffix(']').ok_or_else(|| bad("the bracket is not closed"))?.to_owned();
                layouts.push(Layout { name, prefixes: Vec::new(), replacements: Vec::new() });
                continue;
            }
            let layout = layouts.last_mut().ok_or_else(|| bad("it stands before the first layout"))?;
            if let Some((ours, theirs)) = line.split_once("->") {
                let (ours, theirs) = (ours.trim(), theirs.trim());
                if ours.is_empty() {
                    return Err(bad("nothing is replaced"));
                }
                layout.replacements.push((ours.into(), theirs.into()));
            } else if let Some(prefix) = line.strip_prefix("prefix") {
                layout.prefixes.push(prefix.trim().into());
            } else {
                return Err(bad("it is neither a layout, a prefix nor a replacement"));
            }
        }
        if layouts.is_empty() {
            return Err(Error::new("names.map", "a name map has no layout", "write [layout] first"));
        }
        for layout in layouts.iter_mut().filter(|l| l.prefixes.is_empty()) {
            layout.prefixes.push(String::new());
        }
        Ok(Self { layouts })
    }

    /// Finds every wanted weight in the file, under the layout that finds most. Shapes are compared in the file's
    /// order: a `spec` of `[out, height, width, in]` is `[out, in, height, width]` there, and a 1 × 1 convolution and
    /// a matrix stand for each other.
    ///
    /// # Errors
    /// `safetensors.missing`, `safetensors.shape`, `safetensors.type`: each names all tensors it is about, the first
    /// 20 of a long list.
    pub fn choose<'f>(&self, file: &'f Safetensors, wanted: &[WeightSpec]) -> Result<Chosen<'f>> {
        let mut best: Option<(usize, &Layout, &str)> = None;
        for layout in &self.layouts {
            for prefix in &layout.prefixes {
                let found = wanted.iter().filter(|w| file.tensor(&layout.theirs(prefix, &w.name)).is_some()).count();
                if best.is_none_or(|(most, ..)| found > most) {
                    best = Some((found, layout, prefix));
                }
            }
        }
        let Some((found, layout, prefix)) = best else {
            return Err(Error::new("names.map", "a name map has no layout", "write [layout] first"));
        };
        let name = layout.named(prefix);
        let mut tensors = Vec::with_capacity(found);
        let mut missing = Vec::new();
        for spec in wanted {
            let theirs = layout.theirs(prefix, &spec.name);
            match file.tensor(&theirs) {
                Some(tensor) => tensors.push(tensor),
                None => missing.push(theirs),
            }
        }
        if !missing.is_empty() {
            return Err(self.missing(file, wanted.len(), &name, &missing));
        }
        let wrong: Vec<String> = tensors.iter().zip(wanted).filter_map(|(t, spec)| wrong_shape(t, spec)).collect();
        if !wrong.is_empty() {
            return Err(Error::new(
                "safetensors.shape",
                format!("{} of {} tensors have another shape: {}", wrong.len(), wanted.len(), list(&wrong)),
                OTHER_MODEL,
            ));
        }
        let other: Vec<String> = tensors
            .iter()
            .filter(|t| t.supported().is_err())
            .map(|t| format!("{} is {}", shorten(&t.name), shorten(t.dtype.name())))
            .collect();
        if !other.is_empty() {
            return Err(Error::new(
                "safetensors.type",
                format!("this version reads F32, F16, BF16, and {}", list(&other)),
                "convert the file to one of these types",
            ));
        }
        Ok(Chosen { layout: name, tensors })
    }

    fn missing(&self, file: &Safetensors, wanted: usize, layout: &str, missing: &[String]) -> Error {
        let mut cause =
            format!("{} of {wanted} tensors are not in the file, named as {layout}: {}", missing.len(), list(missing));
        if missing.len() == wanted {
            let tried: Vec<_> = self.layouts.iter().map(|l| l.name.as_str()).collect();
            let there: Vec<_> = file.tensors.iter().take(3).map(|t| shorten(&t.name)).collect();
            cause += &format!(
                ". Tried: {}. The file has {} tensors, such as {}",
                tried.join(", "),
                file.tensors.len(),
                if there.is_empty() { "none".into() } else { there.join(", ") },
            );
        }
        Error::new("safetensors.missing", cause, "the file is of another model, or not whole: use one of this model")
    }
}

impl Layout {
    fn theirs(&self, prefix: &str, ours: &str) -> String {
        let renamed = self.replacements.iter().fold(ours.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
        format!("{prefix}{renamed}")
    }

    fn named(&self, prefix: &str) -> String {
        if prefix.is_empty() { self.name.clone() } else { format!("{} behind {prefix:?}", self.name) }
    }
}

fn list(all: &[String]) -> String {
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    format!("{}{more}", all[..all.len().min(NAMED)].join(", "))
}

/// Both shapes, in the file's order, where they differ.
pub(crate) fn wrong_shape(tensor: &SafeTensor, spec: &WeightSpec) -> Option<String> {
    let want = match spec.shape[..] {
        [out, height, width, channels] => vec![out, channels, height, width],
        _ => spec.shape.clone(),
    };
    let matrix = |shape: &[usize]| match *shape {
        [out, channels, 1, 1] => vec![out, channels],
        _ => shape.to_vec(),
    };
    if matrix(&want) == matrix(&tensor.shape) {
        return None;
    }
    Some(format!("{} is {:?} and should be {want:?}", shorten(&tensor.name), tensor.shape))
}
