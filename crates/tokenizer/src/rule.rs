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
pub(crate) const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const GPT_4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// DeepSeek LLM's letters: those with upper and lower case in the Unicode of its day.
const CASED: &str = "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";
const MARKS: &str = "!-/:-~！-／：-～‘-‟\u{3000}-。";
/// Not CJK alone: the range from U+0800 is the tokenizer's own.
const IDEOGRAPHS: &str = "一-龥ࠀ-一가-퟿";

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
            Self::Unnamed => vec![
                Stage::Runs(Run::of(|c| in_mask(c.tag, mask::PUNCT) && c.c != '`')),
                known(GPT_2)?,
                number,
                three,
            ],
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
    "(|.,!?…。，、।۔،)".contains(c)
}
