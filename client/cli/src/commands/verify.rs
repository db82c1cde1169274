//! `dfsctl verify digest`: one number for everything that the log has come to.
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::moment::Moment;
use clap::Subcommand;
use dfs_fs::{Digest, Fs};
use serde_json::json;

#[derive(Subcommand, Debug)]
pub enum Args {
    /// The digest of the fold: of what is applied now, or folded again from the log up to --at
    #[command(after_help = "Exit code 13: the state is not what its log says.

Examples:
  dfsctl verify digest                 digest and LSN of what is served now
  dfsctl verify digest --at 1219       folded again from the log up to there
  dfsctl verify digest --refold        both, and compared")]
    Digest {
        /// Fold the log again up to the LSN of the answer, and compare
        #[arg(long)]
        refold: bool,
    },
}

pub(crate) async fn run(call: &Call, args: Args) -> Outcome {
    let Args::Digest { refold } = args;
    let fs = call.cluster().await?.fs;
    let at = lsn(call, &fs).await?;
    let digest = fs.digest(at).await?;
    if refold && !digest.refolded {
        compare(digest, fs.digest(Some(digest.lsn)).await?)?;
    }
    let Digest {
        lsn,
        digest,
        refolded,
    } = digest;
    let hex = format!("{digest:016x}");
    let fields = json!({ "digest": hex, "refolded": refolded || refold });
    let how = match (refolded, refold) {
        (true, _) => "  folded again from the log",
        (false, true) => "  equal to the log folded again",
        (false, false) => "",
    };
    let line = format!("{hex}  lsn {lsn}{how}");
    let name = hex.clone().into_bytes();
    call.output.data("Digest", lsn, fields, &name, &line)
}

async fn lsn(call: &Call, fs: &Fs) -> Outcome<Option<u64>> {
    Ok(match call.globals.at {
        None | Some(Moment::Head) => None,
        Some(Moment::Lsn(lsn)) => Some(lsn),
        Some(moment) => Some(fs.resolve(moment.when()).await?.lsn),
    })
}

fn compare(served: Digest, refolded: Digest) -> Outcome {
    if (served.lsn, served.digest) == (refolded.lsn, refolded.digest) {
        return Ok(());
    }
    let what = format!("the digests at lsn {} differ", served.lsn);
    let why = format!(
        "served {:016x}, folded again {:016x} at lsn {}",
        served.digest, refolded.digest, refolded.lsn
    );
    let advice = "Keep the data and report this: a materializer has not folded what the log says";
    Err(Failure::new(Exit::Violation, what, why, advice))
}
