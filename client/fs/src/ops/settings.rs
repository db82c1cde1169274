//! Settings of the cluster: set, as they are or were, and how they came to be so.

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::mutate;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};

use crate::entry::{Committed, Seen};
use crate::fs::Fs;
use crate::when::When;

impl Fs {
    /// All in one record, or none; without a value: back to what the cluster was made with.
    /// [`Fs::with_if_lsn`]: refused if any that is named was changed after that LSN; 0: ever.
    pub async fn set_settings(
        &self,
        changes: Vec<v1::SettingChanged>,
    ) -> Result<Committed, Refusal> {
        let mutate = v1::Mutate {
            op: Some(mutate::Op::SetSettings(v1::SetSettings { changes })),
            if_lsn: self.if_lsn,
        };
        self.shared.session.mutate(&"settings", mutate).await
    }

    /// Those that the cluster knows.
    pub async fn settings(&self, when: When) -> Result<Seen<Vec<v1::SettingState>>, Refusal> {
        let view = self.view(when);
        let op = Op::Settings(v1::SettingsRequest { view });
        let settings = self.ask("settings", op, |body| match body {
            Body::Settings(list) => Some(list.settings),
            _ => None,
        });
        settings.await
    }

    /// Changes of one, or of all, newest first, only those below `before_lsn`; those of one record
    /// stand on one page.
    pub async fn setting_history(
        &self,
        when: When,
        setting: Option<v1::Setting>,
        before_lsn: Option<u64>,
        limit: u32,
    ) -> Result<Seen<v1::SettingHistory>, Refusal> {
        let request = v1::SettingHistoryRequest {
            view: self.view(when),
            setting: setting.map_or(0, |setting| setting as u32),
            before_lsn: before_lsn.unwrap_or(0),
            limit,
        };
        let history = self.ask("settings", Op::SettingHistory(request), |body| match body {
            Body::SettingHistory(history) => Some(history),
            _ => None,
        });
        history.await
    }
}
