//! A directory as it was before a system was to be made in it: a start that fails leaves nothing behind.
use super::directory::DevDirectory;
use dfs_cli::Outcome;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

pub(super) struct Before {
    /// `None` when a system was there already: its files are its own.
    names: Option<BTreeSet<OsString>>,
    existed: bool,
}

impl Before {
    pub(super) fn look(directory: &DevDirectory) -> Outcome<Before> {
        let made = directory.state()?.is_some();
        Ok(Before {
            names: (!made).then(|| names(directory)),
            existed: directory.path().exists(),
        })
    }

    /// Takes away what is new, unless somebody else serves it by now.
    pub(super) fn restore(&self, directory: &DevDirectory) {
        let Some(before) = self.names.as_ref().filter(|_| directory.path().exists()) else {
            return;
        };
        let Ok(Some(_held)) = directory.lock() else {
            return;
        };
        for name in names(directory).difference(before) {
            let path = directory.path().join(name);
            // What cannot be removed is seen by the next start, which says so.
            let _ = match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
        }
        if !self.existed {
            let _ = fs::remove_dir(directory.path());
        }
    }
}

fn names(directory: &DevDirectory) -> BTreeSet<OsString> {
    let entries = fs::read_dir(directory.path()).into_iter().flatten();
    let entries = entries.filter_map(Result::ok);
    entries.map(|entry| entry.file_name()).collect()
}
