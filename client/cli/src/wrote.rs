//! What a writer says when it is done, or would have done: the path, its figures, and the LSN.
use crate::address;
use crate::call::{Call, Place};
use crate::failure::Outcome;
use crate::json;
use serde_json::Value;

/// One result of a write: `made /a/b  lsn 12`.
pub(crate) struct Wrote<'a> {
    pub(crate) kind: &'static str,
    /// `made`, `removed`: what happened, as the first word of the line.
    pub(crate) did: &'a str,
    pub(crate) place: &'a Place,
    /// What follows the path on the line, such as `  1,204 entries`; may be empty.
    pub(crate) more: String,
    /// Further fields of the JSON.
    pub(crate) fields: Value,
    pub(crate) lsn: u64,
}

impl Call {
    pub(crate) fn wrote(&self, wrote: Wrote<'_>) -> Outcome {
        let dry_run = self.globals.dry_run;
        let mut fields = json::at_path(wrote.place.at.path());
        if let Value::Object(further) = wrote.fields {
            for (key, value) in further {
                fields[key] = value;
            }
        }
        if dry_run {
            fields["dry_run"] = true.into();
        }
        let (did, place, more) = (wrote.did, &wrote.place.typed, wrote.more);
        let line = match dry_run {
            true => format!("would have {did} {place}{more}"),
            // Nothing was written: everything was there already.
            false if wrote.lsn == 0 => format!("{did} {place}{more}"),
            false => format!("{did} {place}{more}  lsn {}", wrote.lsn),
        };
        let name = address::escape(wrote.place.at.path());
        self.output
            .told(wrote.kind, wrote.lsn, fields, &name, &line)
    }
}
