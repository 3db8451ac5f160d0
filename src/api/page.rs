//! Lists in pages: `{"items": […], "next_cursor": …}`.

use super::problem::{Code, FieldError, Problem};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

const DEFAULT: usize = 100;
const MOST: usize = 1000;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// 1 to 1000; 100 if absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Absent on the last page.
    pub next_cursor: Option<String>,
}

impl Paging {
    /// The wanted part of `all`. A cursor names the list, the last item that was seen and the next, so that what comes
    /// and goes in between shifts nothing; where both have gone, one begins again.
    pub fn page<T>(&self, list: &str, all: Vec<T>, key: impl Fn(&T) -> String) -> Result<Page<T>, Problem> {
        let limit = self.limit()?;
        let start = match &self.cursor {
            None => 0,
            Some(cursor) => after(cursor, list, &all, &key).ok_or_else(|| Problem::new(Code::BadCursor, "begin again without a cursor"))?,
        };
        let more = all.len() > start + limit;
        let next_cursor = more.then(|| {
            let (last, next) = (key(&all[start + limit - 1]), key(&all[start + limit]));
            URL_SAFE_NO_PAD.encode(format!("{list}\n{last}\n{next}"))
        });
        let items: Vec<T> = all.into_iter().skip(start).take(limit).collect();
        Ok(Page { items, next_cursor })
    }

    fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = &self.limit else { return Ok(DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| Problem::validation(vec![FieldError::new("?limit", format!("a whole number of 1 to {MOST}"))]))
    }
}

fn after<T>(cursor: &str, list: &str, all: &[T], key: &impl Fn(&T) -> String) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (named, items) = text.split_once('\n')?;
    let (last, next) = items.split_once('\n')?;
    (named == list).then_some(())?;
    let find = |wanted: &str| all.iter().position(|item| key(item) == wanted);
    find(last).map(|index| index + 1).or_else(|| find(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(limit: &str, cursor: Option<&str>) -> Paging {
        Paging { limit: Some(limit.into()), cursor: cursor.map(str::to_owned) }
    }

    #[test]
    fn pages_together_are_the_list_though_items_come_in_between() {
        let first = paging("2", None).page("l", vec![1, 2, 3], i32::to_string).expect("page");
        assert_eq!(first.items, [1, 2]);
        let cursor = first.next_cursor.expect("more");
        let second = paging("2", Some(&cursor)).page("l", vec![0, 1, 2, 3], i32::to_string).expect("page");
        assert_eq!((second.items, second.next_cursor), (vec![3], None));
        let without_the_last_seen = paging("2", Some(&cursor)).page("l", vec![1, 3], i32::to_string).expect("page");
        assert_eq!(without_the_last_seen.items, [3]);
        let both_gone = paging("2", Some(&cursor)).page("l", vec![1, 4], i32::to_string).expect_err("refused");
        assert_eq!(both_gone.code, Code::BadCursor);
    }

    #[test]
    fn bad_limits_and_foreign_cursors_are_refused() {
        for limit in ["0", "-1", "1000000000", "x", ""] {
            assert_eq!(paging(limit, None).page("l", vec![1], i32::to_string).expect_err("refused").code, Code::Validation);
        }
        let cursor = paging("1", None).page("l", vec![1, 2], i32::to_string).expect("page").next_cursor.expect("more");
        for (list, cursor) in [("other", cursor.as_str()), ("l", "???"), ("l", "")] {
            assert_eq!(paging("1", Some(cursor)).page(list, vec![1, 2], i32::to_string).expect_err("refused").code, Code::BadCursor);
        }
    }
}
