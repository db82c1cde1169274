//! What the process tells of itself in figures.
use super::{Front, absent, answer};
use dfs_wire::v1;
use dfs_wire::v1::figures_server::Figures;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Figures for Front {
    async fn tell_figures(
        &self,
        _: Request<v1::FiguresRequest>,
    ) -> Result<Response<v1::FiguresAnswer>, Status> {
        let told = self.roles.read().figures.clone();
        let told = told.ok_or_else(|| absent("what tells of the process"))?;
        answer(told.figures().await)
    }
}
