//! Symlinks followed by hand: for verbs that mean what a link points to.
use crate::call::Place;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use dfs_fs::{Entry, Kind, Seen};

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

/// What stands at the end of the links that begin at `place`.
pub(crate) async fn follow(mut place: Place) -> Outcome<(Place, Seen<Entry>)> {
    let named = place.typed.to_string();
    for _ in 0..LINKS_MAX {
        let seen = place.fs.stat(&place.at, place.when).await?;
        if seen.kind != Kind::Symlink {
            return Ok((place, seen));
        }
        let path = pointed_to(place.at.path(), &seen.link_target);
        place = place.elsewhere(&path)?;
    }
    let what = format!("cannot change {named}");
    let why = format!("it leads to a symlink after {LINKS_MAX} symlinks");
    let advice = "Nothing was done; name what is meant";
    Err(Failure::new(Exit::Conflict, what, why, advice))
}

/// Where a symlink at `link` leads, without the first `/`.
fn pointed_to(link: &[u8], target: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = match target.first() {
        Some(b'/') => Vec::new(),
        _ => link.split(|b| *b == b'/').collect(),
    };
    names.pop(); // the link itself
    for name in target.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::pointed_to;

    #[test]
    fn a_link_leads_from_its_own_directory() {
        let led = |link: &str, target: &str| {
            String::from_utf8(pointed_to(link.as_bytes(), target.as_bytes())).expect("text")
        };
        assert_eq!(led("a/link", "b"), "a/b");
        assert_eq!(led("a/b/link", "../c/./d"), "a/c/d");
        assert_eq!(led("link", "../../x"), "x");
        assert_eq!(led("a/link", "/x/y/"), "x/y");
    }
}
