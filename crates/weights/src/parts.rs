//! A model of several parts as diffusers lays it out: `model_index.json` says which network each part is, and a folder of the
//! part's name holds its weights.

use crate::stranger::{bounded, shorten};
use lantern_graph::{Error, Result};
use serde_json::Value;

/// What `model_index.json` says of a model. Only what holds weights is a part: schedulers, tokenizers and what prepares pictures
/// are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIndex {
    /// Of the whole: `StableDiffusionPipeline`.
    pub class: String,
    /// In the order of their roles.
    pub parts: Vec<PartClass>,
}

/// One part, before its files are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartClass {
    /// `text_encoder`, `unet`, `vae`: its folder's name too.
    pub role: String,
    /// `AutoencoderKL`.
    pub class: String,
}

/// What classes without weights are called at their end.
const WITHOUT_WEIGHTS: [&str; 4] = ["Scheduler", "Tokenizer", "TokenizerFast", "Processor"];

impl ModelIndex {
    pub const FILE: &str = "model_index.json";

    /// # Errors
    /// `model.index` for what is no such description, or names a folder that is not beside it.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let bad = |why: String| {
            let cause = format!("{} does not describe a model's parts: {}", Self::FILE, bounded(&why));
            Err(Error::new(
                "model.index",
                cause,
                "get the model's folder again, whole, or give one part's file by itself",
            ))
        };
        let said: serde_json::Map<String, Value> = match serde_json::from_slice(text) {
            Ok(said) => said,
            Err(error) => return bad(error.to_string()),
        };
        let Some(class) = said.get("_class_name").and_then(Value::as_str) else {
            return bad("it has no _class_name".into());
        };
        let mut parts = Vec::new();
        for (role, value) in &said {
            // A pair of a library and a class is a part; all else are options.
            let Some([library, class]) = value.as_array().map(Vec::as_slice) else { continue };
            let (true, Some(class)) = (library.is_string(), class.as_str()) else { continue };
            if role.contains(['/', '\\', ':', '\0']) || role.starts_with('.') {
                return bad(format!("{:?} is no name of a folder beside it", shorten(role)));
            }
            let class = shorten(class);
            if !WITHOUT_WEIGHTS.iter().any(|end| class.ends_with(end)) && !class.ends_with("FeatureExtractor") {
                parts.push(PartClass { role: role.clone(), class });
            }
        }
        parts.sort_by(|a, b| a.role.cmp(&b.role));
        if parts.is_empty() {
            return bad("it names no part that has weights".into());
        }
        Ok(Self { class: shorten(class), parts })
    }

    /// # Errors
    /// `model.part`, naming the parts there are.
    pub fn part(&self, role: &str) -> Result<&PartClass> {
        self.parts.iter().find(|part| part.role == role).ok_or_else(|| {
            let there: Vec<&str> = self.parts.iter().map(|part| part.role.as_str()).collect();
            let cause = format!("a {} has no {role}; it has {}", self.class, there.join(", "));
            Error::new("model.part", cause, "choose a model that has this part")
        })
    }
}
