//! What Python knows of characters and Rust's standard library tells otherwise, or not at all.

/// `str.isspace`, and what `strip` and `split` take.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Where `splitlines` cuts.
pub(crate) fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What `repr` writes as it is. The standard library's `escape_debug` has the same rule for a character that is not the
/// first.
pub(crate) fn is_printable(c: char) -> bool {
    match c {
        '\u{20}'..='\u{7e}' => true,
        _ if c.is_ascii() => false,
        _ => {
            let mut buffer = ['a', c].iter().collect::<String>();
            let plain = buffer.len();
            buffer = buffer.escape_debug().to_string();
            buffer.len() == plain
        }
    }
}

/// The zeros of the decimal digits that Unicode knows; the other nine follow each.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620,
    0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0,
    0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60,
    0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// `str.isdecimal`, with the digit's value.
pub(crate) fn decimal(c: char) -> Option<u32> {
    let code = c as u32;
    let at = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    Some(code - ZEROS[at]).filter(|digit| *digit < 10)
}

/// Digits that are no decimal ones: superscripts, and digits in circles and brackets.
const OTHER_DIGITS: [(u32, u32); 15] = [
    (0xb2, 0xb3),
    (0xb9, 0xb9),
    (0x1369, 0x1371),
    (0x19da, 0x19da),
    (0x2070, 0x2070),
    (0x2074, 0x2079),
    (0x2080, 0x2089),
    (0x2460, 0x2468),
    (0x2474, 0x247c),
    (0x2488, 0x2490),
    (0x24ea, 0x24ea),
    (0x24f5, 0x24fd),
    (0x24ff, 0x24ff),
    (0x2776, 0x277e),
    (0x2780, 0x2788),
];

/// `str.isdigit`.
pub(crate) fn is_digit(c: char) -> bool {
    let code = c as u32;
    let other = |&(from, to): &(u32, u32)| (from..=to).contains(&code);
    decimal(c).is_some()
        || OTHER_DIGITS.iter().any(other)
        || matches!(code, 0x278a..=0x2792 | 0x10a40..=0x10a43 | 0x10e60..=0x10e68 | 0x11052..=0x1105a | 0x1f100..=0x1f10a)
}

/// Ideographs for numbers.
const NUMERALS: &str = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零\u{f96b}\u{f973}\u{f978}\u{f9b2}\u{f9d1}\u{f9d3}\u{f9fd}\u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}\u{20983}\u{2098c}\u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\u{2626d}\u{2f890}";

/// `str.isnumeric`.
pub(crate) fn is_numeric(c: char) -> bool {
    c.is_numeric() || NUMERALS.contains(c)
}

/// `str.isalpha`: a letter, which Rust's `is_alphabetic` says of vowel marks and circled letters too.
pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    c.is_alphabetic() && !c.is_numeric() && !is_mark(c) && !matches!(c as u32, 0x24b6..=0x24e9 | 0x1f130..=0x1f189)
}

/// `str.isalnum`, and `\w` of regular expressions but for the underscore.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    is_letter(c) || is_numeric(c) || is_digit(c)
}

/// Marks that change a letter: what extends a grapheme, which `escape_debug` escapes at the beginning and not later, and
/// the spacing ones.
fn is_mark(c: char) -> bool {
    let alone = c.to_string().escape_debug().count() > 1;
    (alone && is_printable(c)) || SPACING.binary_search_by(|(from, to)| between(*from, *to, c as u32)).is_ok()
}

fn between(from: u32, to: u32, code: u32) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if code < from {
        Greater
    } else if code > to {
        Less
    } else {
        Equal
    }
}

/// Spacing marks (Unicode's `Mc`).
const SPACING: [(u32, u32); 177] = [
    (0x903, 0x903),
    (0x93b, 0x93b),
    (0x93e, 0x940),
    (0x949, 0x94c),
    (0x94e, 0x94f),
    (0x982, 0x983),
    (0x9be, 0x9c0),
    (0x9c7, 0x9c8),
    (0x9cb, 0x9cc),
    (0x9d7, 0x9d7),
    (0xa03, 0xa03),
    (0xa3e, 0xa40),
    (0xa83, 0xa83),
    (0xabe, 0xac0),
    (0xac9, 0xac9),
    (0xacb, 0xacc),
    (0xb02, 0xb03),
    (0xb3e, 0xb3e),
    (0xb40, 0xb40),
    (0xb47, 0xb48),
    (0xb4b, 0xb4c),
    (0xb57, 0xb57),
    (0xbbe, 0xbbf),
    (0xbc1, 0xbc2),
    (0xbc6, 0xbc8),
    (0xbca, 0xbcc),
    (0xbd7, 0xbd7),
    (0xc01, 0xc03),
    (0xc41, 0xc44),
    (0xc82, 0xc83),
    (0xcbe, 0xcbe),
    (0xcc0, 0xcc4),
    (0xcc7, 0xcc8),
    (0xcca, 0xccb),
    (0xcd5, 0xcd6),
    (0xd02, 0xd03),
    (0xd3e, 0xd40),
    (0xd46, 0xd48),
    (0xd4a, 0xd4c),
    (0xd57, 0xd57),
    (0xd82, 0xd83),
    (0xdcf, 0xdd1),
    (0xdd8, 0xddf),
    (0xdf2, 0xdf3),
    (0xf3e, 0xf3f),
    (0xf7f, 0xf7f),
    (0x102b, 0x102c),
    (0x1031, 0x1031),
    (0x1038, 0x1038),
    (0x103b, 0x103c),
    (0x1056, 0x1057),
    (0x1062, 0x1064),
    (0x1067, 0x106d),
    (0x1083, 0x1084),
    (0x1087, 0x108c),
    (0x108f, 0x108f),
    (0x109a, 0x109c),
    (0x1715, 0x1715),
    (0x1734, 0x1734),
    (0x17b6, 0x17b6),
    (0x17be, 0x17c5),
    (0x17c7, 0x17c8),
    (0x1923, 0x1926),
    (0x1929, 0x192b),
    (0x1930, 0x1931),
    (0x1933, 0x1938),
    (0x1a19, 0x1a1a),
    (0x1a55, 0x1a55),
    (0x1a57, 0x1a57),
    (0x1a61, 0x1a61),
    (0x1a63, 0x1a64),
    (0x1a6d, 0x1a72),
    (0x1b04, 0x1b04),
    (0x1b35, 0x1b35),
    (0x1b3b, 0x1b3b),
    (0x1b3d, 0x1b41),
    (0x1b43, 0x1b44),
    (0x1b82, 0x1b82),
    (0x1ba1, 0x1ba1),
    (0x1ba6, 0x1ba7),
    (0x1baa, 0x1baa),
    (0x1be7, 0x1be7),
    (0x1bea, 0x1bec),
    (0x1bee, 0x1bee),
    (0x1bf2, 0x1bf3),
    (0x1c24, 0x1c2b),
    (0x1c34, 0x1c35),
    (0x1ce1, 0x1ce1),
    (0x1cf7, 0x1cf7),
    (0x302e, 0x302f),
    (0xa823, 0xa824),
    (0xa827, 0xa827),
    (0xa880, 0xa881),
    (0xa8b4, 0xa8c3),
    (0xa952, 0xa953),
    (0xa983, 0xa983),
    (0xa9b4, 0xa9b5),
    (0xa9ba, 0xa9bb),
    (0xa9be, 0xa9c0),
    (0xaa2f, 0xaa30),
    (0xaa33, 0xaa34),
    (0xaa4d, 0xaa4d),
    (0xaa7b, 0xaa7b),
    (0xaa7d, 0xaa7d),
    (0xaaeb, 0xaaeb),
    (0xaaee, 0xaaef),
    (0xaaf5, 0xaaf5),
    (0xabe3, 0xabe4),
    (0xabe6, 0xabe7),
    (0xabe9, 0xabea),
    (0xabec, 0xabec),
    (0x11000, 0x11000),
    (0x11002, 0x11002),
    (0x11082, 0x11082),
    (0x110b0, 0x110b2),
    (0x110b7, 0x110b8),
    (0x1112c, 0x1112c),
    (0x11145, 0x11146),
    (0x11182, 0x11182),
    (0x111b3, 0x111b5),
    (0x111bf, 0x111c0),
    (0x111ce, 0x111ce),
    (0x1122c, 0x1122e),
    (0x11232, 0x11233),
    (0x11235, 0x11235),
    (0x112e0, 0x112e2),
    (0x11302, 0x11303),
    (0x1133e, 0x1133f),
    (0x11341, 0x11344),
    (0x11347, 0x11348),
    (0x1134b, 0x1134d),
    (0x11357, 0x11357),
    (0x11362, 0x11363),
    (0x11435, 0x11437),
    (0x11440, 0x11441),
    (0x11445, 0x11445),
    (0x114b0, 0x114b2),
    (0x114b9, 0x114b9),
    (0x114bb, 0x114be),
    (0x114c1, 0x114c1),
    (0x115af, 0x115b1),
    (0x115b8, 0x115bb),
    (0x115be, 0x115be),
    (0x11630, 0x11632),
    (0x1163b, 0x1163c),
    (0x1163e, 0x1163e),
    (0x116ac, 0x116ac),
    (0x116ae, 0x116af),
    (0x116b6, 0x116b6),
    (0x11720, 0x11721),
    (0x11726, 0x11726),
    (0x1182c, 0x1182e),
    (0x11838, 0x11838),
    (0x11930, 0x11935),
    (0x11937, 0x11938),
    (0x1193d, 0x1193d),
    (0x11940, 0x11940),
    (0x11942, 0x11942),
    (0x119d1, 0x119d3),
    (0x119dc, 0x119df),
    (0x119e4, 0x119e4),
    (0x11a39, 0x11a39),
    (0x11a57, 0x11a58),
    (0x11a97, 0x11a97),
    (0x11c2f, 0x11c2f),
    (0x11c3e, 0x11c3e),
    (0x11ca9, 0x11ca9),
    (0x11cb1, 0x11cb1),
    (0x11cb4, 0x11cb4),
    (0x11d8a, 0x11d8e),
    (0x11d93, 0x11d94),
    (0x11d96, 0x11d96),
    (0x11ef5, 0x11ef6),
    (0x16f51, 0x16f87),
    (0x16ff0, 0x16ff1),
    (0x1d165, 0x1d166),
    (0x1d16d, 0x1d172),
];

/// One character's capital at the beginning of a word.
pub(crate) fn titlecase(c: char) -> Vec<char> {
    match c {
        'Ǆ'..='ǆ' => vec!['ǅ'],
        'Ǉ'..='ǉ' => vec!['ǈ'],
        'Ǌ'..='ǌ' => vec!['ǋ'],
        'Ǳ'..='ǳ' => vec!['ǲ'],
        'ა'..='ჺ' | 'ჽ'..='ჿ' => vec![c],
        'ᾀ'..='ᾯ' | 'ᾳ' | 'ᾼ' | 'ῃ' | 'ῌ' | 'ῳ' | 'ῼ' => {
            let lower: Vec<char> = c.to_lowercase().collect();
            let code = lower[0] as u32;
            let title = match lower[0] {
                'ᾳ' => 'ᾼ',
                'ῃ' => 'ῌ',
                'ῳ' => 'ῼ',
                _ => char::from_u32(code | 8).unwrap_or(c),
            };
            vec![title]
        }
        _ => {
            let mut upper = c.to_uppercase();
            let first: Vec<char> = upper.next().into_iter().collect();
            // A ligature's other letters stay small.
            first.into_iter().chain(upper.flat_map(char::to_lowercase)).collect()
        }
    }
}

/// `str.casefold` of one character.
pub(crate) fn casefold(c: char) -> Vec<char> {
    match c {
        'ı' => vec![c],
        'İ' => vec!['i', '\u{307}'],
        'Ꭰ'..='Ᏽ' => vec![c],
        'ᏸ'..='ᏽ' | '\u{ab70}'..='\u{abbf}' => c.to_uppercase().collect(),
        _ => c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect(),
    }
}

/// Upper, lower or title case: what has a case at all.
pub(crate) fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase() || is_title(c)
}

pub(crate) fn is_title(c: char) -> bool {
    matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | 'ᾈ'..='ᾏ' | 'ᾘ'..='ᾟ' | 'ᾨ'..='ᾯ' | 'ᾼ' | 'ῌ' | 'ῼ')
}

/// What a Σ looks past for a letter (Unicode's `Case_Ignorable`), as far as marks and punctuation go.
pub(crate) fn is_case_ignorable(c: char) -> bool {
    matches!(
        c,
        '\'' | '.' | ':' | '^' | '`' | '\u{a8}' | '\u{ad}' | '\u{af}' | '\u{b4}' | '\u{b7}' | '\u{b8}' | '\u{2019}'
    ) || is_mark(c)
}
