//! From a source to tokens, with `trim_blocks` and `lstrip_blocks` on, as Hugging Face sets them: white space around tags is
//! gone when this is done.

use std::rc::Rc;

use crate::error::{Error, Result};
use crate::literal;
use crate::unicode::is_space;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Data(String),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(Rc<str>),
    Text(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Spanned {
    pub token: Token,
    pub line: u32,
}

/// Longest first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// # Errors
/// [`crate::Kind::Syntax`], with the line.
pub(crate) fn tokens(source: &str) -> Result<Vec<Spanned>> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    // `keep_trailing_newline` is off.
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer = Lexer { source: source.chars().collect(), at: 0, line: 1, out: Vec::new() };
    while lexer.data()? {}
    lexer.push(Token::End);
    Ok(lexer.out)
}

struct Lexer {
    source: Vec<char>,
    at: usize,
    line: u32,
    out: Vec<Spanned>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Print,
    Block,
    Comment,
    /// With the place after its opening tag.
    Raw(usize),
}

impl Lexer {
    fn push(&mut self, token: Token) {
        self.out.push(Spanned { token, line: self.line });
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.at + ahead).copied()
    }

    fn looking_at(&self, at: usize, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.source.get(at + i) == Some(&c))
    }

    fn after_spaces(&self, mut at: usize) -> usize {
        while self.source.get(at).is_some_and(|c| is_space(*c)) {
            at += 1;
        }
        at
    }

    /// Goes on to a place, counting the lines.
    fn advance(&mut self, to: usize) {
        self.line += self.source[self.at..to].iter().filter(|c| **c == '\n').count() as u32;
        self.at = to;
    }

    /// Text up to the next tag, and the tag; false at the end.
    fn data(&mut self) -> Result<bool> {
        let tag = (self.at..self.source.len()).find_map(|at| self.tag(at).map(|tag| (at, tag)));
        let Some((at, tag)) = tag else {
            let rest: String = self.source[self.at..].iter().collect();
            if !rest.is_empty() {
                self.push(Token::Data(rest));
            }
            return Ok(false);
        };
        let sign = self.source.get(at + 2).copied().filter(|c| matches!(c, '-' | '+'));
        self.text(at, sign, tag == Tag::Print);
        let inside = at + 2 + usize::from(sign.is_some());
        match tag {
            Tag::Comment => {
                self.at = inside;
                self.comment()?;
            }
            Tag::Raw(after) => {
                self.advance(after);
                self.raw()?;
            }
            Tag::Print | Tag::Block => {
                self.at = inside;
                self.push(if tag == Tag::Print { Token::PrintBegin } else { Token::BlockBegin });
                self.code(tag == Tag::Print)?;
            }
        }
        Ok(true)
    }

    fn tag(&self, at: usize) -> Option<Tag> {
        if self.source[at] != '{' {
            return None;
        }
        match self.source.get(at + 1)? {
            '{' => Some(Tag::Print),
            '#' => Some(Tag::Comment),
            '%' => Some(self.raw_tag(at).map_or(Tag::Block, Tag::Raw)),
            _ => None,
        }
    }

    /// `{% raw %}`: where its text begins.
    fn raw_tag(&self, at: usize) -> Option<usize> {
        let sign = usize::from(matches!(self.source.get(at + 2), Some('-' | '+')));
        let word = self.after_spaces(at + 2 + sign);
        let end = self.after_spaces(word + 3);
        match self.looking_at(word, "raw") {
            true if self.looking_at(end, "-%}") => Some(self.after_spaces(end + 3)),
            true if self.looking_at(end, "%}") => Some(end + 2),
            _ => None,
        }
    }

    /// The text before a tag, less the white space that the tag takes.
    fn text(&mut self, end: usize, sign: Option<char>, print: bool) {
        let start = self.at;
        let text = &self.source[start..end];
        let mut keep = text.len();
        if sign == Some('-') {
            keep -= text.iter().rev().take_while(|c| is_space(**c)).count();
        } else if sign.is_none() && !print {
            let line = text.iter().rposition(|c| *c == '\n').map_or(0, |at| at + 1);
            let at_line_start = line > 0 || start == 0 || self.source[start - 1] == '\n';
            if at_line_start && text[line..].iter().all(|c| is_space(*c)) {
                keep = line;
            }
        }
        if keep > 0 {
            let kept = text[..keep].iter().collect();
            self.push(Token::Data(kept));
        }
        self.advance(end);
    }

    /// Where the tag's end at this place ends, with what it takes of the white space after it.
    fn block_end(&self, at: usize, mark: &str) -> Option<usize> {
        if self.looking_at(at, mark) {
            let end = at + 2;
            return Some(end + usize::from(self.source.get(end) == Some(&'\n')));
        }
        match self.source.get(at)? {
            '+' if self.looking_at(at + 1, mark) => Some(at + 3),
            '-' if self.looking_at(at + 1, mark) => Some(self.after_spaces(at + 3)),
            _ => None,
        }
    }

    fn print_end(&self) -> Option<usize> {
        match self.peek(0)? {
            '-' if self.looking_at(self.at + 1, "}}") => Some(self.after_spaces(self.at + 3)),
            '}' if self.looking_at(self.at, "}}") => Some(self.at + 2),
            _ => None,
        }
    }

    fn comment(&mut self) -> Result<()> {
        let end = (self.at..self.source.len()).find_map(|at| self.block_end(at, "#}"));
        let end = end.ok_or_else(|| Error::syntax("Missing end of comment tag", self.line))?;
        self.advance(end);
        Ok(())
    }

    fn raw(&mut self) -> Result<()> {
        let missing = Error::syntax("Missing end of raw directive", self.line);
        for at in self.at..self.source.len() {
            if !self.looking_at(at, "{%") {
                continue;
            }
            let sign = self.source.get(at + 2).copied().filter(|c| matches!(c, '-' | '+'));
            let word = self.after_spaces(at + 2 + usize::from(sign.is_some()));
            if !self.looking_at(word, "endraw") {
                continue;
            }
            if let Some(end) = self.block_end(self.after_spaces(word + 6), "%}") {
                self.text(at, sign, false);
                self.advance(end);
                return Ok(());
            }
        }
        Err(missing)
    }

    /// What lies in a tag, up to its end.
    fn code(&mut self, print: bool) -> Result<()> {
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            if open.is_empty() {
                let end = if print { self.print_end() } else { self.block_end(self.at, "%}") };
                if let Some(end) = end {
                    self.push(if print { Token::PrintEnd } else { Token::BlockEnd });
                    self.advance(end);
                    return Ok(());
                }
            }
            let Some(c) = self.peek(0) else { return Ok(()) };
            if is_space(c) {
                let to = self.after_spaces(self.at);
                self.advance(to);
            } else if let Some((token, len)) = literal::number(&self.source, self.at) {
                let token = token.map_err(|e| e.at(self.line))?;
                self.push(token);
                self.at += len;
            } else if c.is_alphanumeric() || c == '_' {
                self.name()?;
            } else if matches!(c, '\'' | '"') {
                self.string(c)?;
            } else {
                self.operator(&mut open)?;
            }
        }
    }

    fn name(&mut self) -> Result<()> {
        let len = self.source[self.at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        let name: String = self.source[self.at..self.at + len].iter().collect();
        if name.starts_with(|c: char| c.is_numeric()) {
            return Err(Error::syntax("Invalid character in identifier", self.line));
        }
        self.push(Token::Name(name.into()));
        self.at += len;
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<()> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            match self.source.get(end) {
                None => {
                    let what = format!("unexpected char {quote:?}: the string has no end");
                    return Err(Error::syntax(what, self.line));
                }
                Some('\\') => end += 2,
                Some(c) if *c == quote => break,
                Some(_) => end += 1,
            }
        }
        let text = literal::unescape(&self.source[start..end]).map_err(|e| e.at(self.line))?;
        self.push(Token::Text(text));
        self.advance(end + 1);
        Ok(())
    }

    fn operator(&mut self, open: &mut Vec<&'static str>) -> Result<()> {
        let Some(op) = OPERATORS.into_iter().find(|op| self.looking_at(self.at, op)) else {
            return Err(Error::syntax(format!("unexpected char {:?}", self.source[self.at]), self.line));
        };
        match op {
            "{" => open.push("}"),
            "(" => open.push(")"),
            "[" => open.push("]"),
            "}" | ")" | "]" => match open.pop() {
                None => return Err(Error::syntax(format!("unexpected '{op}'"), self.line)),
                Some(expected) if expected != op => {
                    return Err(Error::syntax(format!("unexpected '{op}', expected '{expected}'"), self.line));
                }
                Some(_) => {}
            },
            _ => {}
        }
        self.push(Token::Op(op));
        self.at += op.len();
        Ok(())
    }
}
