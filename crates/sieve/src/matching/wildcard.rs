//! `:matches`: `*` is any text, `?` one character, `\` takes the next for itself (RFC 5228 section 2.7.1).
//!
//! A pattern is cut at its stars. The first piece stands where the text begins and the last where it ends; each one between is looked
//! for behind the one before, and the first place where it fits is taken. That gives each star the shortest text that the stars after
//! it allow, which is what RFC 5229 section 3.2 asks for, and nothing is ever tried twice. A piece is found in one pass: by its
//! failure function where it has no `?`, else by a bit for each of its items (Shift-And).
//!
//! `?` is a character as the comparator has it: a byte under `i;octet` and `i;ascii-casemap`, a letter with the marks on it under
//! `i;unicode-casemap`.

use std::collections::HashMap;

use unicode_normalization::char::is_combining_mark;

use super::Comparator;
use crate::limits;

/// A pattern, ready to be compared.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    classes: Classes,
    /// What stands before, between and after the stars: one more than there are stars.
    pieces: Vec<Piece>,
}

/// A value as a row of characters.
#[derive(Debug)]
pub(super) struct Text<'v> {
    text: &'v str,
    characters: Vec<Character>,
    /// Where each character begins in the text; none where each is a byte.
    starts: Option<Vec<usize>>,
}

/// A character in the form in which equal ones are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Character {
    Code(u32),
    /// A letter with marks.
    Cluster(Box<str>),
}

/// The characters that a pattern knows, numbered from 1; 0 are all others.
#[derive(Clone, Debug, Default)]
struct Classes {
    numbers: HashMap<Character, u32>,
}

#[derive(Clone, Debug)]
struct Piece {
    items: Vec<Item>,
    search: Search,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Class(u32),
    Any,
}

/// How a piece is found in a text.
#[derive(Clone, Debug)]
enum Search {
    /// For each item, how many items before it, and it, begin the piece too.
    Failures(Vec<usize>),
    /// For each class, the items that it fits: a row of words. The first row is for all classes that the piece does not have.
    Bits { words: usize, classes: Vec<u32>, rows: Vec<u64> },
}

impl Pattern {
    pub(super) fn new(key: &str, comparator: Comparator) -> Result<Pattern, String> {
        let mut reading =
            Reading { comparator, classes: Classes::default(), literal: String::new(), items: vec![vec![]] };
        let mut chars = key.chars();
        while let Some(char) = chars.next() {
            match char {
                '*' => reading.star(),
                '?' => reading.any(),
                '\\' => reading.literal.push(chars.next().unwrap_or('\\')),
                _ => reading.literal.push(char),
            }
        }
        reading.end_literal();
        let Reading { classes, items, .. } = reading;
        let pieces = items.into_iter().map(Piece::new).collect::<Result<_, _>>()?;
        Ok(Pattern { classes, pieces })
    }

    /// Whether the whole text fits, and what `${0}` and its wildcards stand for.
    pub(super) fn captures(&self, text: &Text<'_>, wanted: bool) -> Option<Vec<String>> {
        let row: Vec<u32> = text.characters.iter().map(|one| self.classes.of(one)).collect();
        let places = self.places(&row)?;
        Some(if wanted { self.texts(text, &places) } else { Vec::new() })
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        let size = |piece: &Piece| match &piece.search {
            Search::Failures(failures) => (failures.len() + piece.items.len()) * 8,
            Search::Bits { rows, .. } => (rows.len() + piece.items.len() * 2) * 8,
        };
        let pieces: usize = self.pieces.iter().map(|piece| size(piece) + 80).sum();
        pieces + self.classes.numbers.len() * 48
    }

    /// Bytes of work for a text of so many.
    pub(super) fn work(&self, text: usize) -> usize {
        let widest = self.pieces.iter().map(|piece| match piece.search {
            Search::Bits { words, .. } => words,
            Search::Failures(_) => 1,
        });
        text.saturating_mul(1 + widest.max().unwrap_or(1)) / 2
    }

    /// Where each piece stands.
    fn places(&self, row: &[u32]) -> Option<Vec<usize>> {
        let (first, others) = self.pieces.split_first()?;
        let mut at = first.items.len();
        if !first.fits(row.get(..at)?) {
            return None;
        }
        let mut places = vec![0];
        let Some((last, between)) = others.split_last() else {
            return (at == row.len()).then_some(places);
        };
        let end = row.len().checked_sub(last.items.len())?;
        for piece in between {
            let place = at + piece.find(row.get(at..end)?)?;
            places.push(place);
            at = place + piece.items.len();
        }
        places.push(end);
        (at <= end && last.fits(row.get(end..)?)).then_some(places)
    }

    fn texts(&self, text: &Text<'_>, places: &[usize]) -> Vec<String> {
        let mut texts = vec![text.text.to_owned()];
        let mut end = 0;
        for (number, (piece, &place)) in self.pieces.iter().zip(places).enumerate() {
            if number > 0 {
                texts.push(text.between(end, place));
            }
            for (item, at) in piece.items.iter().zip(place..) {
                if *item == Item::Any && texts.len() < limits::CAPTURES {
                    texts.push(text.between(at, at + 1));
                }
            }
            end = place + piece.items.len();
            if texts.len() >= limits::CAPTURES {
                break;
            }
        }
        texts.truncate(limits::CAPTURES);
        texts
    }
}

impl<'v> Text<'v> {
    pub(super) fn new(text: &'v str, comparator: Comparator) -> Text<'v> {
        let bytes = |fold: fn(&u8) -> u8| text.as_bytes().iter().map(|byte| code(fold(byte))).collect();
        match comparator {
            Comparator::Octet | Comparator::AsciiNumeric => {
                Text { text, characters: bytes(|byte| *byte), starts: None }
            }
            Comparator::AsciiCasemap => {
                Text { text, characters: bytes(u8::to_ascii_uppercase), starts: None }
            }
            Comparator::UnicodeCasemap if text.is_ascii() => {
                Text { text, characters: bytes(u8::to_ascii_uppercase), starts: None }
            }
            Comparator::UnicodeCasemap => Text::of_clusters(text),
        }
    }

    fn of_clusters(text: &'v str) -> Text<'v> {
        let (mut characters, mut starts) = (Vec::new(), Vec::new());
        for (start, cluster) in clusters(text) {
            // What is one character may become two: each of them begins where it does.
            let folded = ::mime::casemap(cluster);
            for (_, one) in clusters(&folded) {
                let mut chars = one.chars();
                characters.push(match (chars.next(), chars.next()) {
                    (Some(char), None) => code(char),
                    _ => Character::Cluster(one.into()),
                });
                starts.push(start);
            }
        }
        Text { text, characters, starts: Some(starts) }
    }

    /// The text from one character to another. Half a character of UTF-8 becomes U+FFFD.
    fn between(&self, from: usize, to: usize) -> String {
        let place = |at: usize| match &self.starts {
            Some(starts) => starts.get(at).copied().unwrap_or(self.text.len()),
            None => at,
        };
        let bytes = self.text.as_bytes().get(place(from)..place(to)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

fn code(char: impl Into<u32>) -> Character {
    Character::Code(char.into())
}

/// Letters with the marks that follow them, and where each begins.
fn clusters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = text.len() - rest.len();
        let mut chars = rest.char_indices();
        chars.next()?;
        let end = chars.find(|(_, char)| !is_combining_mark(*char)).map_or(rest.len(), |(end, _)| end);
        let (cluster, after) = rest.split_at_checked(end)?;
        rest = after;
        Some((start, cluster))
    })
}

impl Classes {
    fn of(&self, character: &Character) -> u32 {
        self.numbers.get(character).copied().unwrap_or(0)
    }

    fn number(&mut self, character: Character) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX).saturating_add(1);
        *self.numbers.entry(character).or_insert(next)
    }
}

/// A pattern under way.
struct Reading {
    comparator: Comparator,
    classes: Classes,
    literal: String,
    items: Vec<Vec<Item>>,
}

impl Reading {
    fn star(&mut self) {
        self.end_literal();
        self.items.push(Vec::new());
    }

    fn any(&mut self) {
        self.end_literal();
        self.push(Item::Any);
    }

    fn end_literal(&mut self) {
        let literal = std::mem::take(&mut self.literal);
        for character in Text::new(&literal, self.comparator).characters {
            let class = self.classes.number(character);
            self.push(Item::Class(class));
        }
    }

    fn push(&mut self, item: Item) {
        if let Some(items) = self.items.last_mut() {
            items.push(item);
        }
    }
}

impl Item {
    fn fits(self, class: u32) -> bool {
        matches!(self, Item::Any) || self == Item::Class(class)
    }
}

impl Piece {
    fn new(items: Vec<Item>) -> Result<Piece, String> {
        let search = match items.contains(&Item::Any) {
            false => Search::Failures(failures(&items)),
            true if items.len() > limits::PIECE => {
                let most = limits::PIECE;
                return Err(format!("more than {most} characters without \"*\", some of them \"?\""));
            }
            true => bits(&items),
        };
        Ok(Piece { items, search })
    }

    fn fits(&self, row: &[u32]) -> bool {
        self.items.iter().zip(row).all(|(item, class)| item.fits(*class))
    }

    /// The first place where it fits.
    fn find(&self, row: &[u32]) -> Option<usize> {
        if self.items.is_empty() {
            return Some(0);
        }
        match &self.search {
            Search::Failures(failures) => self.find_literal(row, failures),
            Search::Bits { words, classes, rows } => self.find_bits(row, *words, classes, rows),
        }
    }

    fn find_literal(&self, row: &[u32], failures: &[usize]) -> Option<usize> {
        let mut fits = 0;
        for (at, class) in row.iter().enumerate() {
            fits = extend(&self.items, failures, fits, Item::Class(*class));
            if fits == self.items.len() {
                return Some(at + 1 - fits);
            }
        }
        None
    }

    fn find_bits(&self, row: &[u32], words: usize, classes: &[u32], rows: &[u64]) -> Option<usize> {
        let last = self.items.len().checked_sub(1)?;
        let mut state = vec![0u64; words];
        for (at, class) in row.iter().enumerate() {
            let fit = rows.get(classes.binary_search(class).map_or(0, |at| at + 1) * words..)?;
            let mut carry = 1;
            for (word, fit) in state.iter_mut().zip(fit) {
                let shifted = *word << 1 | carry;
                carry = *word >> 63;
                *word = shifted & fit;
            }
            if state.get(last / 64)? >> (last % 64) & 1 == 1 {
                return Some(at - last);
            }
        }
        None
    }
}

/// How many items fit once one more character has come.
fn extend(items: &[Item], failures: &[usize], mut fits: usize, next: Item) -> usize {
    loop {
        if items.get(fits) == Some(&next) {
            return fits + 1;
        }
        match fits.checked_sub(1).and_then(|at| failures.get(at)) {
            Some(fewer) => fits = *fewer,
            None => return 0,
        }
    }
}

fn failures(items: &[Item]) -> Vec<usize> {
    let mut failures = Vec::with_capacity(items.len());
    let mut fits = 0;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            fits = extend(items, &failures, fits, *item);
        }
        failures.push(fits);
    }
    failures
}

fn bits(items: &[Item]) -> Search {
    let words = items.len().div_ceil(64);
    let class = |item: &Item| match item {
        Item::Class(class) => Some(*class),
        Item::Any => None,
    };
    let mut classes: Vec<u32> = items.iter().filter_map(class).collect();
    classes.sort_unstable();
    classes.dedup();
    let mut any = vec![0u64; words];
    let set = |row: &mut [u64], at: usize| {
        if let Some(word) = row.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    };
    for (at, _) in items.iter().enumerate().filter(|(_, item)| **item == Item::Any) {
        set(&mut any, at);
    }
    let mut rows = any.repeat(classes.len() + 1);
    for (at, item) in items.iter().enumerate() {
        if let Some(row) = class(item).and_then(|class| classes.binary_search(&class).ok()) {
            set(rows.get_mut((row + 1) * words..).unwrap_or_default(), at);
        }
    }
    Search::Bits { words, classes, rows }
}
