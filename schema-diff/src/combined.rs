//! Several forms against several forms: `allOf`, `anyOf`, `oneOf`, and a schema of several kinds of rules, which is all of them.

use crate::{
    Change, Compared, Comparison, Kind, TooMuch,
    shape::{Criterion, Node},
};

impl Criterion {
    fn keyword(self) -> &'static str {
        match self {
            Self::All => "allOf",
            Self::Any => "anyOf",
            Self::One => "oneOf",
        }
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn compare_combined(
        &mut self,
        (was_by, was): (Criterion, &[Node<'a>]),
        (is_by, is): (Criterion, &[Node<'a>]),
    ) -> Compared {
        match (was_by, is_by) {
            _ if was_by == is_by => {}
            (_, Criterion::Any) => self.note(Kind::CombinedTypeExtended, None, None),
            (_, Criterion::One) if was.len() == 1 => self.note(Kind::CombinedTypeExtended, None, None),
            (_, Criterion::All) if was.len() == 1 && is.len() == 1 => {
                self.note(Kind::CombinedTypeExtended, None, None);
            }
            _ => {
                self.note(Kind::CombinedTypeChanged, None, None);
                return Ok(());
            }
        }
        let kind = match (is_by, was.len().cmp(&is.len())) {
            (_, std::cmp::Ordering::Equal) => None,
            (Criterion::All, std::cmp::Ordering::Less) => Some(Kind::ProductTypeExtended),
            (Criterion::All, std::cmp::Ordering::Greater) => Some(Kind::ProductTypeNarrowed),
            (_, std::cmp::Ordering::Less) => Some(Kind::SumTypeExtended),
            (_, std::cmp::Ordering::Greater) => Some(Kind::SumTypeNarrowed),
        };
        if let Some(kind) = kind {
            self.note(kind, None, None);
        }
        let fitting = self.fitting(was_by, was, is)?;
        let matched = matching(&fitting, is.len());
        let count = matched.iter().flatten().count();
        for (row, taken) in fitting.into_iter().zip(&matched) {
            let found = taken.and_then(|taken| row.into_iter().nth(taken).flatten());
            self.changes.extend(found.into_iter().flatten());
        }
        if count < was.len().min(is.len()) {
            self.note(Kind::CombinedTypeSubschemasChanged, None, None);
        }
        Ok(())
    }

    /// For each form of the writer and each of the reader, what differs if the one fits the other.
    fn fitting(
        &mut self,
        by: Criterion,
        was: &[Node<'a>],
        is: &[Node<'a>],
    ) -> Result<Vec<Vec<Option<Vec<Change>>>>, TooMuch> {
        let mut rows = Vec::new();
        for (at, before) in was.iter().enumerate() {
            let step = match before {
                Node::Whole(_) => vec![by.keyword().to_owned(), at.to_string()],
                Node::Part(..) => Vec::new(),
            };
            let depth = self.path.len();
            self.path.extend(step);
            let row = is.iter().map(|now| {
                let found = self.apart(*before, *now)?;
                Ok(found.iter().all(|change| !change.breaks()).then_some(found))
            });
            let row = row.collect::<Result<Vec<_>, TooMuch>>();
            self.path.truncate(depth);
            rows.push(row?);
        }
        Ok(rows)
    }
}

/// Which column each row is given, so that as many rows as possible have one of their own: first those between which nothing differs,
/// then by augmenting paths.
fn matching(fitting: &[Vec<Option<Vec<Change>>>], columns: usize) -> Vec<Option<usize>> {
    let mut taken_by: Vec<Option<usize>> = vec![None; columns];
    for (row, fits) in fitting.iter().enumerate() {
        let is_same = |column: &usize| fits[*column].as_ref().is_some_and(Vec::is_empty);
        let free = |column: &usize| taken_by[*column].is_none();
        let mut columns = std::iter::once(row).filter(|column| *column < columns).chain(0..columns);
        if let Some(column) = columns.find(|column| is_same(column) && free(column)) {
            taken_by[column] = Some(row);
        }
    }
    for row in (0..fitting.len()).filter(|row| !taken_by.contains(&Some(*row))).collect::<Vec<_>>() {
        augment(fitting, row, &mut vec![false; columns], &mut taken_by);
    }
    let mut out = vec![None; fitting.len()];
    for (column, row) in taken_by.into_iter().enumerate() {
        if let Some(row) = row {
            out[row] = Some(column);
        }
    }
    out
}

fn augment(
    fitting: &[Vec<Option<Vec<Change>>>],
    row: usize,
    seen: &mut [bool],
    taken_by: &mut [Option<usize>],
) -> bool {
    for column in 0..taken_by.len() {
        if fitting[row][column].is_none() || std::mem::replace(&mut seen[column], true) {
            continue;
        }
        if taken_by[column].is_none_or(|other| augment(fitting, other, seen, taken_by)) {
            taken_by[column] = Some(row);
            return true;
        }
    }
    false
}
