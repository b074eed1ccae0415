//! What of a folder a request asks to see: how it is sorted, and where the page begins.
//!
//! `?sort=name|size|time`, `&order=asc|desc`, and `&after=`, which names the last entry of the page before: so a page costs no
//! memory for those before it, and none is shown twice when the folder changes. What cannot be read is taken as not said.

use std::cmp::Ordering;

use sportello_wire::http1::target::{decode_query, encode_name};

/// How a folder's entries are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub(super) sort: Sort,
    pub(super) order: Order,
    /// Entries up to this one are left out.
    pub(super) after: Option<Key>,
}

/// By what entries are sorted. Folders come first always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Size,
    Time,
}

/// In which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Ascending,
    Descending,
}

/// Folders first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Folder,
    File,
}

/// What an entry is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// Size or time; 0 where names decide.
    pub(super) value: u64,
    /// The name without case.
    folded: Vec<u8>,
    pub(super) name: Vec<u8>,
}

impl Key {
    pub(super) fn new(kind: Kind, value: u64, name: &[u8]) -> Self {
        let folded = match name.is_ascii() {
            true => name.to_ascii_lowercase(),
            false => String::from_utf8_lossy(name).to_lowercase().into_bytes(),
        };
        Self { kind, value, folded, name: name.to_vec() }
    }

    pub(super) fn compare(&self, other: &Self, order: Order) -> Ordering {
        let rest = self.value.cmp(&other.value);
        let rest = rest.then_with(|| self.folded.cmp(&other.folded)).then_with(|| self.name.cmp(&other.name));
        self.kind.cmp(&other.kind).then(if order == Order::Ascending { rest } else { rest.reverse() })
    }

    /// As `after=` carries it, percent-encoded: `f` or `d`, the value, a colon, the name.
    fn write(&self, out: &mut String) {
        out.push(if self.kind == Kind::Folder { 'd' } else { 'f' });
        out.push_str(&self.value.to_string());
        out.push(':');
        encode_name(&self.name, out);
    }

    fn read(text: &[u8]) -> Option<Self> {
        let colon = text.iter().position(|&byte| byte == b':')?;
        let kind = match text.first()? {
            b'd' => Kind::Folder,
            b'f' => Kind::File,
            _ => return None,
        };
        let value = std::str::from_utf8(text.get(1..colon)?).ok()?.parse().ok()?;
        let name = text.get(colon + 1..)?;
        (!name.is_empty()).then(|| Self::new(kind, value, name))
    }
}

impl View {
    /// Reads a query, still percent-encoded. The first of each counts.
    pub fn parse(query: Option<&[u8]>) -> Self {
        let (mut sort, mut order, mut after) = (None, None, None);
        for pair in query.unwrap_or_default().split(|&byte| byte == b'&') {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            match (name, value) {
                (b"sort", b"size") => sort = sort.or(Some(Sort::Size)),
                (b"sort", b"time") => sort = sort.or(Some(Sort::Time)),
                (b"sort", _) => sort = sort.or(Some(Sort::Name)),
                (b"order", b"desc") => order = order.or(Some(Order::Descending)),
                (b"order", _) => order = order.or(Some(Order::Ascending)),
                (b"after", _) if after.is_none() => after = Some(decode_query(value).and_then(|text| Key::read(&text))),
                _ => {}
            }
        }
        Self { sort: sort.unwrap_or_default(), order: order.unwrap_or_default(), after: after.flatten() }
    }

    /// The reference, relative to the folder, to the page behind `after`, or to the first.
    pub(super) fn link(&self, after: Option<&Key>) -> String {
        let mut link = format!("?sort={}&order={}", self.sort.word(), self.order.word());
        if let Some(key) = after {
            link.push_str("&after=");
            key.write(&mut link);
        }
        link
    }
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Time => "time",
        }
    }
}

impl Order {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}
