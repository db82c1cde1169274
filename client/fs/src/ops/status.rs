//! Status of every role: the sequencer, each unit it lists, each materializer.

use dfs_wire::{Refusal, v1};
use futures::future::join_all;

use crate::dialog::silent;
use crate::fs::Fs;

/// What every role says of itself; a refusal where it does not answer.
#[derive(Clone, Debug)]
pub struct Status {
    pub sequencer: v1::SequencerStatusAnswer,
    pub units: Vec<(v1::UnitRef, Result<v1::UnitStatusAnswer, Refusal>)>,
    pub materializers: Vec<(v1::Member, Result<v1::MaterializerStatusAnswer, Refusal>)>,
}

impl Fs {
    /// All at once; nobody is waited for longer than one attempt.
    pub async fn status(&self) -> Result<Status, Refusal> {
        let asked = async {
            self.shared
                .dialog
                .connector
                .sequencer()
                .await?
                .status()
                .await
        };
        let sequencer = self.patiently("the sequencer", asked).await?;
        let members = sequencer.members.clone().unwrap_or_default();
        let units = members.units.into_iter().map(|unit| async move {
            let status = self.unit_status(&unit).await;
            (unit, status)
        });
        let is_materializer = |member: &v1::Member| {
            !member.removed && member.roles.iter().any(|r| r == "materializer")
        };
        let materializers = members.members.into_iter().filter(is_materializer);
        let materializers = materializers.map(|member| async move {
            let status = self.materializer_status(&member).await;
            (member, status)
        });
        let (units, materializers) = futures::join!(join_all(units), join_all(materializers));
        Ok(Status {
            sequencer,
            units,
            materializers,
        })
    }

    async fn unit_status(&self, unit: &v1::UnitRef) -> Result<v1::UnitStatusAnswer, Refusal> {
        let connector = &self.shared.dialog.connector;
        let request = v1::UnitStatusRequest {
            unit_id: unit.unit_id,
        };
        let asked = async {
            connector
                .unit(unit.unit_id, &unit.address)
                .await?
                .status(request)
                .await
        };
        self.patiently("a unit", asked).await
    }

    async fn materializer_status(
        &self,
        member: &v1::Member,
    ) -> Result<v1::MaterializerStatusAnswer, Refusal> {
        let connector = &self.shared.dialog.connector;
        let asked = async {
            connector
                .materializer(&member.address)
                .await?
                .status()
                .await
        };
        self.patiently("a materializer", asked).await
    }

    async fn patiently<T>(
        &self,
        who: &str,
        asked: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let patience = self.config().attempt_timeout.min(self.config().timeout);
        match self.env().timeout(patience, asked).await {
            Ok(answered) => answered,
            Err(_) => Err(silent(who)),
        }
    }
}
