//! CLIP's byte-pair encoding, which the text encoders of Stable Diffusion read (Radford et al. 2021, arXiv:2103.00020).
//!
//! Text is cleaned and made lower case, cut into words, and each word's bytes merge by the list. Where GPT-2 marks a
//! word's beginning, CLIP marks its end: a piece that ends a word (`</w>`) is another piece.

use crate::split::failed;
use crate::vocab::unusable;
use bitcannon::classify::{classify, in_mask, mask};
use lantern_graph::Result;
use std::borrow::Cow;
use tokenizers::models::bpe::{BpeConfig, PipelineBPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pipeline::{Model, Normalizer};
use tokenizers::utils::byte_level::BYTES_CHAR_LOOKUP;

/// Merges that became pieces: the list goes on, the vocabulary does not.
const MERGES: usize = 49_152 - 256 - 2;
const SPECIALS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
/// A word's last byte is written with the letter this far on: one letter for one byte, whole or last.
const LAST: u32 = 0xE000;
const CACHED_WORDS: usize = 1024;

pub struct ClipTokenizer {
    model: PipelineBPE,
    size: u32,
}

impl ClipTokenizer {
    /// `merges`: the text of `bpe_simple_vocab_16e6.txt`, whose first line is a title, two pieces a line.
    ///
    /// # Errors
    /// `tokenizer.vocab`
    pub fn from_merges(merges: &str) -> Result<Self> {
        // Ids of bytes are in the order of their letters: printable ones first.
        let mut letters = *BYTES_CHAR_LOOKUP;
        letters.sort_unstable();
        let mut vocab = Vocab::default();
        let mut next = 0;
        let mut add = |piece: String| {
            vocab.insert(piece, next);
            next += 1;
        };
        letters.iter().for_each(|letter| add(letter.to_string()));
        letters.iter().for_each(|letter| add(last(*letter).to_string()));
        let mut pairs = Vec::new();
        for line in merges.lines().skip(1).take(MERGES) {
            let pair = line.split_once(' ').filter(|(l, r)| !l.is_empty() && !r.is_empty() && !r.contains(' '));
            let (left, right) = pair.ok_or_else(|| unusable(format!("the merge {line:?} is not two pieces")))?;
            if line.len() > usize::from(u16::MAX) {
                return Err(unusable(format!("it has a merge of {} bytes", line.len())));
            }
            let pair = (written(left), written(right));
            add(format!("{}{}", pair.0, pair.1));
            pairs.push(pair);
        }
        let config = BpeConfig { vocab, merges: pairs, cache_capacity: CACHED_WORDS, ..BpeConfig::default() };
        let model = PipelineBPE::from_config(config).map_err(|e| unusable(e.to_string()))?;
        Ok(Self { model, size: next })
    }

    /// The ids of `text`, without the tokens that begin and end it.
    ///
    /// # Errors
    /// `tokenizer.encode`
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let text = cleaned(text)?;
        let mut tags = vec![0; text.len()];
        classify(text.as_bytes(), &mut tags);
        let mut scratch = self.model.init_scratch();
        let (mut ids, mut tokens, mut word) = (Vec::new(), Vec::new(), String::new());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(i) = SPECIALS.iter().position(|special| rest.starts_with(special)) {
                ids.push(self.size + i as u32);
                at += SPECIALS[i].len();
                continue;
            }
            let len = word_len(rest, &tags[at..]);
            let bytes = &rest.as_bytes()[..len];
            at += len;
            // White space stands between words and is none.
            let Some((end, front)) = bytes.split_last().filter(|_| !rest.starts_with(char::is_whitespace)) else {
                continue;
            };
            word.clear();
            word.extend(front.iter().map(|byte| BYTES_CHAR_LOOKUP[usize::from(*byte)]));
            word.push(last(BYTES_CHAR_LOOKUP[usize::from(*end)]));
            tokens.clear();
            self.model.tokenize_pipeline(&word, &mut scratch, &mut tokens).map_err(|e| failed(&e.to_string()))?;
            ids.extend(tokens.iter().map(|token| token.id()));
        }
        Ok(ids)
    }

    /// The token before a text, `<|startoftext|>`.
    pub fn bos(&self) -> u32 {
        self.size
    }

    /// The token after a text and in the places that are left, `<|endoftext|>`.
    pub fn eos(&self) -> u32 {
        self.size + 1
    }

    pub fn vocab_size(&self) -> usize {
        self.size as usize + SPECIALS.len()
    }
}

/// A piece of the list in our letters.
fn written(piece: &str) -> String {
    let Some(word) = piece.strip_suffix("</w>").filter(|word| !word.is_empty()) else { return piece.to_owned() };
    let mut chars = word.chars();
    let end = chars.next_back().map(last);
    chars.chain(end).collect()
}

fn last(letter: char) -> char {
    char::from_u32(LAST + letter as u32).unwrap_or(letter)
}

/// Bytes of the first match of `'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+`, or of white space.
fn word_len(text: &str, tags: &[u8]) -> usize {
    if let Some(contraction) = CONTRACTIONS.iter().find(|contraction| text.starts_with(**contraction)) {
        return contraction.len();
    }
    let class = |at: usize| match tags[at] {
        tag if in_mask(tag, mask::LETTER) => 0,
        tag if in_mask(tag, mask::NUMBER) => 1,
        tag if in_mask(tag, mask::WS) => 2,
        _ => 3,
    };
    let mut ends = text.char_indices().map(|(i, c)| (class(i), i + c.len_utf8()));
    let Some((first, mut len)) = ends.next() else { return 0 };
    if first != 1 {
        ends.take_while(|(class, _)| *class == first).for_each(|(_, end)| len = end);
    }
    len
}

/// What ftfy and the reference make of a text before it is cut, as far as prompts ask: composed characters, plain quotes
/// and widths, HTML's entities twice over, lower case.
fn cleaned(text: &str) -> Result<String> {
    let plain: String = text.chars().flat_map(plain).collect();
    let composed = NFC.normalize(&plain, 0).map_err(|e| failed(&e.to_string()))?;
    let once = unescaped(&composed);
    Ok(unescaped(&once).trim().to_lowercase())
}

/// Curly quotes are straight, ligatures apart, wide forms narrow.
fn plain(c: char) -> impl Iterator<Item = char> {
    let text: Cow<str> = match c {
        '\u{2018}'..='\u{201b}' | '\u{2bc}' => "'".into(),
        '\u{201c}'..='\u{201f}' => "\"".into(),
        'ﬀ' => "ff".into(),
        'ﬁ' => "fi".into(),
        'ﬂ' => "fl".into(),
        'ﬃ' => "ffi".into(),
        'ﬄ' => "ffl".into(),
        'ﬅ' => "ſt".into(),
        'ﬆ' => "st".into(),
        '\u{3000}' => " ".into(),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c).to_string().into(),
        _ => c.to_string().into(),
    };
    text.chars().collect::<Vec<_>>().into_iter()
}

/// HTML's numbered entities, and the named ones that people write.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        rest = &rest[at..];
        // Names are short; without a bound, text of ampersands alone would be looked through for each.
        let window = rest.len().min(12);
        let end = rest.as_bytes()[..window].iter().position(|byte| *byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end + 1))) {
            Some((c, len)) => {
                out.push(c);
                rest = &rest[len..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out += rest;
    out.into()
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '©',
        "reg" => '®',
        "deg" => '°',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "times" => '×',
        "eacute" => 'é',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned_as_the_reference_does() {
        let cases = [
            ("“It’s” ＡＢＣ～", "\"it's\" abc~"),
            ("cafe\u{301} &amp;amp; &#39;tea&#x27; &unknown; & co", "café & 'tea' &unknown; & co"),
            ("ﬁne ÉCLAIR\u{3000}", "fine éclair"),
            ("&&&&amp;", "&&&&"),
        ];
        for (text, expected) in cases {
            assert_eq!(cleaned(text).unwrap(), expected);
        }
    }

    #[test]
    fn words_end_with_their_own_pieces() {
        let t = ClipTokenizer::from_merges("title\na b\nab c</w>\nb</w> c\n").unwrap();
        let byte = |c: char| u32::from(c as u8 - b'!');
        assert_eq!(t.encode("abc ab, A").unwrap(), [513, byte('a'), 256 + byte('b'), 256 + byte(','), 256 + byte('a')]);
        assert_eq!((t.bos(), t.eos(), t.vocab_size()), (515, 516, 517));
        assert_eq!(t.encode("<|startoftext|>a<|endoftext|>").unwrap(), [515, 256 + byte('a'), 516]);
        for merges in ["title\nab", "title\na b c", "title\nx yz"] {
            assert_eq!(ClipTokenizer::from_merges(merges).err().unwrap().code, "tokenizer.vocab", "{merges}");
        }
    }
}
