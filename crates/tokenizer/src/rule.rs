//! Which rule cuts a text into words, by the name a file gives it: llama.cpp's names, with the regular expressions of the
//! models' own tokenizers.

use crate::split::{Class, Run, Splitter, Stage, native};
use bitcannon::classify::{in_mask, mask};
use lantern_graph::{Error, Result};
use tokenizers::pipeline::PipelinePreTokenizer;
use tokenizers::pre_tokenizers::sequence::PipelineSequence;
use tokenizers::utils::DEEPSEEK_PATTERNS;

pub(crate) const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
pub(crate) const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const QWEN_2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const GPT_4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// DeepSeek LLM's letters: those with upper and lower case in the Unicode of its day.
pub(crate) const CASED: &str = "\
    A-Za-z\u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}\u{295}-\u{2af}\u{370}-\u{373}\
    \u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}\u{388}-\u{38a}\u{38c}\u{38e}-\u{3a1}\u{3a3}-\u{3f5}\u{3f7}-\u{481}\
    \u{48a}-\u{52f}\u{531}-\u{556}\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}\u{13f8}-\u{13fd}\u{1c90}-\u{1cba}\u{1cbd}-\
    \u{1cbf}\u{1d00}-\u{1d2b}\u{1d6b}-\u{1d77}\u{1d79}-\u{1d9a}\u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}\u{1f20}-\u{1f45}\
    \u{1f48}-\u{1f4d}\u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\u{1f5d}\u{1f5f}-\u{1f7d}\u{1f80}-\u{1fb4}\u{1fb6}-\u{1fbc}\
    \u{1fbe}\u{1fc2}-\u{1fc4}\u{1fc6}-\u{1fcc}\u{1fd0}-\u{1fd3}\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}\u{1ff2}-\u{1ff4}\
    \u{1ff6}-\u{1ffc}\u{2102}\u{2107}\u{210a}-\u{2113}\u{2115}\u{2119}-\u{211d}\u{2124}\u{2126}\u{2128}\u{212a}-\
    \u{212d}\u{212f}-\u{2134}\u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\u{2183}\u{2184}\u{2c00}-\u{2c7b}\
    \u{2c7e}-\u{2ce4}\u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}\u{a640}-\u{a66d}\u{a680}-\u{a69b}\u{a722}-\u{a76f}\u{a771}-\
    \u{a787}\u{a78b}-\u{a78e}\u{ab70}-\u{abbf}\u{fb00}-\u{fb06}\u{fb13}-\u{fb17}\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\
    \u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\
    \u{118df}\u{1e900}-\u{1e943}";
pub(crate) const MARKS: &str = "!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}\u{2018}-\u{201f}\u{3000}-\u{3002}";
/// Not CJK alone: the range from U+0800 is the tokenizer's own.
pub(crate) const IDEOGRAPHS: &str = "\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}";

/// A family of tokenizers that cut alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Gpt2,
    /// Every digit alone, then GPT-2's.
    Digits,
    Llama3,
    Qwen2,
    Tekken,
    Gpt4o,
    DeepSeekLlm,
    DeepSeekCoder,
    DeepSeekV3,
    Falcon,
    Bloom,
    Viking,
    /// llama.cpp's for files that name none.
    Unnamed,
}

/// How a file's name for its rule was understood.
pub(crate) struct Named {
    pub rule: Rule,
    /// A whole word that is in the vocabulary is taken before any merge, even one no merge leads to.
    pub whole_words: bool,
    /// Whether prompts begin with BOS where the file does not say.
    pub adds_bos: bool,
    /// What to tell the visitor when the rule is the nearest rather than the file's own.
    pub notice: Option<Error>,
}

impl Named {
    pub fn from_name(name: Option<&str>) -> Self {
        let (rule, exact) = match name {
            Some(name) => by_name(name),
            None => (Rule::Unnamed, false),
        };
        let llama_3 = rule == Rule::Llama3 && !matches!(name, Some("dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4"));
        let notice = (!exact).then(|| {
            let cause = match name {
                Some(name) => format!("the file's text rule, {name}, is not known here; the nearest one is used"),
                None => "the file does not say by which rule its text is cut; the usual one is used".to_owned(),
            };
            let remedy = "expect odd words now and then, or convert the model again with a current converter";
            Error::new("tokenizer.pre", cause, remedy)
        });
        Self {
            rule,
            whole_words: exact && (llama_3 || rule == Rule::Tekken || name == Some("youtu")),
            adds_bos: exact && (llama_3 || rule == Rule::Tekken),
            notice,
        }
    }
}

/// The rule, and whether it is the one of that name rather than one like it.
fn by_name(name: &str) -> (Rule, bool) {
    let rule = match name {
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" | "dbrx" | "chatglm-bpe" | "glm4" | "falcon3"
        | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" | "laguna" | "jina-v5-nano" => Rule::Llama3,
        "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "jina-es" | "jina-de" | "jina-v1-en" | "jina-v2-es"
        | "jina-v2-de" | "jina-v2-code" | "roberta-bpe" | "gigachat" | "a.x-4.0" | "mellum" | "modern-bert"
        | "exaone4" | "trillion" | "granite-docling" => Rule::Gpt2,
        "smollm" | "starcoder" | "refact" | "command-r" | "cohere2_moe" | "codeshell" | "exaone" | "minerva-7b"
        | "mellum2" => Rule::Digits,
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" | "solar-open" | "grok-2" | "kormo"
        | "openpangu" | "f2llmv2" => Rule::Qwen2,
        "tekken" => Rule::Tekken,
        "gpt-4o" | "llama4" | "kanana2" | "minimax-m2" => Rule::Gpt4o,
        "deepseek-llm" => Rule::DeepSeekLlm,
        "deepseek-coder" => Rule::DeepSeekCoder,
        "deepseek-v3" | "hunyuan-dense" | "joyai-llm" => Rule::DeepSeekV3,
        "falcon" => Rule::Falcon,
        "bloom" | "gpt3-finnish" | "poro-chat" => Rule::Bloom,
        "viking" => Rule::Viking,
        // "default" is what converters wrote before rules had names.
        "default" => return (Rule::Unnamed, false),
        "qwen35" | "seed-coder" | "bailingmoe" | "bailingmoe2" | "llada-moe" | "exaone-moe" => {
            return (Rule::Qwen2, false);
        }
        "tiny_aya" | "kimi-k2" | "youtu" => return (Rule::Gpt4o, false),
        "afmoe" => return (Rule::DeepSeekV3, false),
        "chameleon" | "superbpe" => return (Rule::Digits, false),
        // Most vocabularies since 2024 are cut by this one or a cousin of it.
        _ => return (Rule::Llama3, false),
    };
    (rule, true)
}

impl Rule {
    /// # Errors
    /// `tokenizer.vocab` if the `tokenizers` crate no longer knows a pattern.
    pub fn splitter(self) -> Result<Splitter> {
        let known = |pattern| native(pattern).map(Stage::Native);
        // One digit, one piece.
        let digit = Stage::Runs(Run { most: 1, ..Run::of(|c| in_mask(c.tag, mask::NUMBER)) });
        let number = Stage::Runs(Run::of(|c| in_mask(c.tag, mask::NUMBER)));
        let three = Stage::Runs(Run { least: 3, most: 3, ..Run::of(|c| c.c.is_ascii_digit()) });
        let newline = Stage::Runs(Run { most: 1, ..Run::of(|c| matches!(c.c, '\r' | '\n')) });
        let after_space = |run: Run| Stage::Runs(Run { lead: char::is_whitespace, ..run });
        let ideographs = Stage::Runs(Run { class: Class::ranges(IDEOGRAPHS), ..Run::default() });
        let word = Stage::Runs(Run { lead: |c| c == ' ', ..Run::of(|c| !c.c.is_whitespace() && !stops(c.c)) });
        Ok(Splitter::new(match self {
            Self::Gpt2 => vec![known(GPT_2)?],
            Self::Digits => vec![digit, known(GPT_2)?],
            Self::Llama3 => vec![known(LLAMA_3)?],
            Self::Qwen2 => vec![known(QWEN_2)?],
            Self::Tekken => vec![known(TEKKEN)?],
            Self::Gpt4o => vec![known(GPT_4O)?],
            Self::DeepSeekLlm => vec![
                newline,
                after_space(Run { class: Class::ranges(CASED), ..Run::default() }),
                after_space(Run { class: Class::ranges(MARKS), ..Run::default() }),
                Stage::LastSpace,
                ideographs,
                number,
            ],
            Self::DeepSeekCoder => vec![
                newline,
                after_space(Run::of(|c| in_mask(c.tag, mask::LETTER))),
                after_space(Run::of(|c| is_punctuation(c.c, c.tag))),
                ideographs,
                digit,
            ],
            Self::DeepSeekV3 => {
                let sequence = DEEPSEEK_PATTERNS.into_iter().map(native).collect::<Result<_>>()?;
                vec![Stage::Native(PipelinePreTokenizer::Sequence(PipelineSequence::new(sequence)))]
            }
            Self::Falcon => vec![Stage::Runs(Run::of(|c| in_mask(c.tag, mask::PUNCT))), known(GPT_2)?, three],
            Self::Unnamed => {
                vec![Stage::Runs(Run::of(|c| in_mask(c.tag, mask::PUNCT) && c.c != '`')), known(GPT_2)?, number, three]
            }
            Self::Bloom => vec![word],
            Self::Viking => vec![word, digit],
        }))
    }
}

/// \p{P}: the classes here count ASCII's symbols in.
fn is_punctuation(c: char, tag: u8) -> bool {
    in_mask(tag, mask::PUNCT) && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

/// What BLOOM's words end at.
fn stops(c: char) -> bool {
    "(|.,!?\u{2026}\u{3002}\u{ff0c}\u{3001}\u{964}\u{6d4}\u{60c})".contains(c)
}
