//! A disk that loses what it has: one sector of the log or of a journal, flipped or zeroed while nobody uses it (E4).
use crate::dice::Dice;
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const SECTOR_BYTES: u64 = 512;
/// Segments are made of zeros beforehand: where nothing was written, nothing can be lost.
const DRAWS: u32 = 10_000;

/// What was done, with its place; `None` where nothing has been written yet.
pub(crate) fn harm(dir: &Path, dice: &mut Dice) -> Result<Option<String>> {
    let segments = segments(dir)?;
    for _ in 0..DRAWS {
        let Some((path, sectors)) = dice.one_of(&segments) else {
            return Ok(None);
        };
        let at = dice.below((*sectors).max(1)) * SECTOR_BYTES;
        let file = File::options().read(true).write(true).open(path)?;
        let mut sector = [0; SECTOR_BYTES as usize];
        file.read_exact_at(&mut sector, at)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if sector.iter().all(|byte| *byte == 0) {
            continue;
        }
        let what = change(&mut sector, dice);
        file.write_all_at(&sector, at)?;
        file.sync_all()?;
        let name = path.strip_prefix(dir).unwrap_or(path);
        return Ok(Some(format!("{what} at {at} of {}", name.display())));
    }
    Ok(None)
}

fn change(sector: &mut [u8], dice: &mut Dice) -> String {
    if dice.below(2) == 0 {
        sector.fill(0);
        return "a sector zeroed".into();
    }
    let (byte, bit) = (dice.below(SECTOR_BYTES), dice.below(8));
    sector[byte as usize] ^= 1 << bit;
    format!("bit {bit} of byte {byte} flipped in the sector")
}

/// Every segment file below `dir` with its whole sectors, in the order of the names.
fn segments(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut rooms = vec![dir.to_path_buf()];
    while let Some(room) = rooms.pop() {
        for entry in std::fs::read_dir(&room)? {
            let entry = entry?;
            let (path, info) = (entry.path(), entry.metadata()?);
            if info.is_dir() {
                rooms.push(path);
            } else if path.extension().is_some_and(|it| it == "segment") {
                found.push((path, info.len() / SECTOR_BYTES));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{SECTOR_BYTES, harm};
    use crate::dice::Dice;

    #[test]
    fn only_what_was_written_is_harmed_and_by_one_sector() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal/00000001.segment");
        std::fs::create_dir(dir.path().join("journal")).expect("a room");
        let mut whole = vec![0_u8; 64 * SECTOR_BYTES as usize];
        assert!(std::fs::write(&path, &whole).is_ok());
        let mut dice = Dice::new(1);
        assert_eq!(harm(dir.path(), &mut dice).expect("readable"), None);
        whole[5 * SECTOR_BYTES as usize..][..512].fill(7);
        assert!(std::fs::write(&path, &whole).is_ok());
        let what = harm(dir.path(), &mut dice).expect("readable");
        assert!(what.is_some_and(|what| what.contains("at 2560 of journal")));
        let after = std::fs::read(&path).expect("there");
        let differs = |at: &usize| after[*at] != whole[*at];
        let places: Vec<usize> = (0..whole.len()).filter(differs).collect();
        assert!(!places.is_empty() && places.iter().all(|at| at / 512 == 5));
    }
}
